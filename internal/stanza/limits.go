package stanza

// Limits bound what one first-level element may cost. Zero fields take the default.
type Limits struct {
	MaxStanza   int // bytes of a first-level element; default 256 KiB, at most 1 GiB
	MaxDepth    int // nested elements; default 128
	MaxAttrs    int // attributes of one element; default 64
	MaxName     int // bytes of an element's or attribute's name; default 256
	MaxPrefixes int // namespace prefixes declared at a time; default 64
}

// Defaults of Limits.
const (
	DefaultMaxStanza   = 256 << 10
	DefaultMaxDepth    = 128
	DefaultMaxAttrs    = 64
	DefaultMaxName     = 256
	DefaultMaxPrefixes = 64

	maxMaxStanza = 1 << 30 // the scanner's offsets have 32 bits
)

// WithDefaults returns l with its zero fields replaced by the defaults.
func (l Limits) WithDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.MaxStanza, DefaultMaxStanza)
	set(&l.MaxDepth, DefaultMaxDepth)
	set(&l.MaxAttrs, DefaultMaxAttrs)
	set(&l.MaxName, DefaultMaxName)
	set(&l.MaxPrefixes, DefaultMaxPrefixes)
	l.MaxStanza = min(l.MaxStanza, maxMaxStanza)
	return l
}

// Unlimited returns limits for elements that have been accepted before: only what the scanner's
// offsets can express bounds them.
func Unlimited() Limits {
	return Limits{MaxStanza: maxMaxStanza, MaxDepth: maxMaxStanza, MaxAttrs: maxMaxStanza, MaxName: maxMaxStanza, MaxPrefixes: maxMaxStanza}
}
