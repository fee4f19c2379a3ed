package backup

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rosterdb/rosterdb/internal/op"
)

// Object is the line of an object. Its value is text where that is UTF-8 and reads
// as such.
type Object struct {
	Root    string `json:"root"`
	Path    string `json:"path"`
	Text    string `json:"text,omitempty"`
	Base64  []byte `json:"base64,omitempty"`
	Refs    []Ref  `json:"refs,omitempty"`
	Expires int64  `json:"expires,omitempty"` // milliseconds since 1970
	Version uint64 `json:"version,omitempty"` // in the cluster that it came from; not restored
}

// Ref is a reference.
type Ref struct {
	Root string `json:"root"`
	Path string `json:"path,omitempty"`
}

// Value is the object's value.
func (o *Object) Value() []byte {
	if len(o.Base64) > 0 {
		return o.Base64
	}
	return []byte(o.Text)
}

// SetValue puts a value in: as base64 what is no UTF-8, or what JSON's escapes would
// make more than twice as long, such as zero bytes; else as text.
func (o *Object) SetValue(v []byte) {
	if utf8.Valid(v) && escaped(v) <= 2*len(v) {
		o.Text = string(v)
	} else {
		o.Base64 = v
	}
}

// escaped is the length of a text in JSON, in bytes.
func escaped(v []byte) int {
	n := len(v)
	for _, c := range v {
		switch {
		case c == '"' || c == '\\' || c >= '\b' && c <= '\r' && c != '\v':
			n++ // a backslash and a letter
		case c < ' ':
			n += 5 // \u00..
		}
	}
	return n
}

// known are the members of an object's line, for who has misspelt one.
const known = "root, path, text, base64, refs (root, path), expires, version"

// parseLine reads the line of an object, or the last line. What no store would take is
// refused here, so that it is known before anything is written.
func parseLine(line []byte) (*Object, *Trailer, error) {
	var l struct {
		Object
		Trailer
		Base64 string `json:"base64"` // encoding/json would take line ends in it, and bits that are left over
	}
	if !utf8.Valid(line) {
		return nil, nil, fmt.Errorf("%w: it is no UTF-8", ErrTorn)
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	err := d.Decode(&l)
	if (err != nil || d.InputOffset() != int64(len(line))) && !json.Valid(line) {
		return nil, nil, fmt.Errorf("%w: it is not one object of JSON", ErrTorn)
	}
	if err == nil {
		err = strict(line)
	}
	if err == nil && !l.End {
		l.Object.Base64, err = decodeBase64(l.Base64)
	}
	t := l.Trailer
	t.End = false
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w; an object has %s", ErrFormat, err, known)
	case l.End:
		return nil, &l.Trailer, nil
	case t != Trailer{}:
		return nil, nil, fmt.Errorf("%w: it has members of the last line, but not \"end\":true", ErrFormat)
	case l.Text != "" && l.Base64 != "":
		return nil, nil, fmt.Errorf("%w: object %q of root %q has text and base64: which one?", ErrFormat, l.Path, l.Root)
	}
	if err := l.check(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return &l.Object, nil, nil
}

// decodeBase64 reads a value that is written in the one way it can be (RFC 4648, section 3.5).
func decodeBase64(text string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("member \"base64\" is no base64 with its padding, without line ends and with no bits left over")
	}
	return b, nil
}

// check says why no store would take the object.
func (o *Object) check() error {
	put := op.Mutation{Kind: op.Put, Path: o.Path, Value: o.Value()}
	for _, r := range o.Refs {
		put.Refs = append(put.Refs, op.Ref{Root: r.Root, Path: r.Path})
	}
	w := op.Write{Root: o.Root, Mutations: []op.Mutation{put}}
	_, err := w.Check()
	return err
}
