package adminxml

// An export reads partitions as of one log time. "begin" makes the node take a
// picture of each partition when its log time passes that; "poll" tells which are
// there; "page" reads one; "end" gives one or all back. A node forgets an export
// that nobody has asked about for a while.
type ExportRequest struct {
	Do string `json:"do"` // begin, poll, page or end
	ID string `json:"id"` // of the export, chosen by who asks

	Time       int64    `json:"time,omitempty"`       // begin: milliseconds since 1970
	Partitions []uint32 `json:"partitions,omitempty"` // begin
	Partition  *uint32  `json:"partition,omitempty"`  // page; end: this one, or all
	From       *Cursor  `json:"from,omitempty"`       // page: ExportAnswer.Next of the one before
}

// What to do.
const (
	ExportBegin = "begin"
	ExportPoll  = "poll"
	ExportPage  = "page"
	ExportEnd   = "end"
)

// Cursor is where a page goes on: behind an object, or within one that is too long
// for a page.
type Cursor struct {
	Root   string `json:"root"`
	Path   string `json:"path"`
	Within bool   `json:"within,omitempty"`
	Value  int    `json:"value,omitempty"` // bytes of the value that were told
	Refs   int    `json:"refs,omitempty"`  // references that were told
}

// ExportAnswer answers an ExportRequest.
type ExportAnswer struct {
	Waiting int               `json:"waiting"`          // begin, poll: partitions whose log time has not come so far
	Failed  map[uint32]string `json:"failed,omitempty"` // begin, poll: partitions without a picture, and why
	Astray  []uint32          `json:"astray,omitempty"` // begin, poll: partitions as they are, for their log time is far beyond the cut
	Objects []Piece           `json:"objects,omitempty"`
	Next    *Cursor           `json:"next,omitempty"` // of a page: there is more
}

// Piece is an object, or a piece of one: value and references of the pieces of an
// object that follow each other are to be put together.
type Piece struct {
	Root    string      `json:"r"`
	Path    string      `json:"p,omitempty"`
	Version uint64      `json:"v"`
	Expires int64       `json:"e,omitempty"`
	Value   []byte      `json:"d,omitempty"`
	Refs    [][2]string `json:"l,omitempty"`    // root and path
	Part    bool        `json:"part,omitempty"` // the next piece goes on with the same object
}
