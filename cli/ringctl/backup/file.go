// Package backup reads and writes the files of ringctl export and backup, and
// brings their objects into a cluster.
//
// A file is JSON lines in UTF-8: a header, one line an object, a trailer with
// their count, the bytes of their values and a checksum over all lines before it.
// A file without its trailer is torn and refused.
package backup

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// Format is the name of the format, in the header.
const Format = "rosterdb-objects"

// Version is that of the format which is written here.
const Version = 1

// maxLine is the longest line, in bytes: an object with a value and references of
// the largest size, every byte escaped.
const maxLine = 64 << 20

// Errors of reading.
var (
	// ErrTorn: the file ends early, or is damaged.
	ErrTorn = errors.New("the file is torn or damaged")
	// ErrFormat: no file of this format, or one of a later version.
	ErrFormat = errors.New("not a file that ringctl can import")
)

// Header is the first line.
type Header struct {
	Format     string       `json:"format"`
	Version    int          `json:"version"`
	Cluster    string       `json:"cluster,omitempty"` // UUID of where it came from
	Time       int64        `json:"time,omitempty"`    // log time of the cut, milliseconds since 1970
	Partitions int          `json:"partitions,omitempty"`
	Indexes    []ring.Index `json:"indexes,omitempty"`
	Access     []ring.Grant `json:"access,omitempty"`
}

// Trailer is the last line.
type Trailer struct {
	End      bool   `json:"end"` // true
	Objects  int64  `json:"objects"`
	Bytes    int64  `json:"bytes"`    // of values
	Checksum string `json:"checksum"` // XXH64 of all lines before, 16 hexadecimal digits

	// Unchecked: the last line had no checksum; Checksum is what it would be.
	Unchecked bool `json:"-"`
}

// Writer writes a file. It is not safe for concurrent use.
type Writer struct {
	w   *bufio.Writer
	sum *xxhash.Digest
	end Trailer
	buf bytes.Buffer
}

// NewWriter begins a file.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	h.Format, h.Version = Format, Version
	out := &Writer{w: bufio.NewWriterSize(w, 256<<10), sum: xxhash.New()}
	return out, out.line(h)
}

func (w *Writer) line(v any) error {
	w.buf.Reset()
	enc := json.NewEncoder(&w.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	_, _ = w.sum.Write(w.buf.Bytes()) // a hash takes everything
	if _, err := w.w.Write(w.buf.Bytes()); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// Write adds an object.
func (w *Writer) Write(o *Object) error {
	w.end.Objects++
	w.end.Bytes += int64(len(o.Text) + len(o.Base64))
	return w.line(o)
}

// Close writes the trailer. The file below stays open.
func (w *Writer) Close() (Trailer, error) {
	w.end.End, w.end.Checksum = true, fmt.Sprintf("%016x", w.sum.Sum64())
	if err := w.line(w.end); err != nil {
		return w.end, err
	}
	if err := w.w.Flush(); err != nil {
		return w.end, fmt.Errorf("write: %w", err)
	}
	return w.end, nil
}

// Reader reads a file. It is not safe for concurrent use.
type Reader struct {
	Header Header
	// Own takes files of people's own making: without Header.Cluster the last line
	// may lack the checksum.
	Own bool

	lines  *bufio.Scanner
	sum    *xxhash.Digest
	seen   Trailer
	end    *Trailer
	latest int64 // that an object may expire, milliseconds since 1970
}

// NewReader reads the header. Errors: ErrTorn; ErrFormat also for indexes and grants that
// no store would take.
func NewReader(r io.Reader) (*Reader, error) {
	in := &Reader{lines: bufio.NewScanner(r), sum: xxhash.New()}
	in.lines.Buffer(make([]byte, 0, 256<<10), maxLine)
	b, err := in.line()
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &in.Header); err != nil || in.Header.Format != Format {
		return nil, fmt.Errorf("%w: its first line is not a header of format %q", ErrFormat, Format)
	}
	if in.Header.Version > Version {
		return nil, fmt.Errorf("%w: version %d, this program knows %d: run the newer program", ErrFormat, in.Header.Version, Version)
	}
	if err := new(ring.Document).CheckCatalog(in.Header.Indexes, in.Header.Access); err != nil {
		return nil, fmt.Errorf("line 1: %w: %w", ErrFormat, err)
	}
	in.latest = max(time.Now().UnixMilli(), in.Header.Time) + op.MaxTTL
	in.add(b)
	return in, nil
}

func (r *Reader) add(line []byte) {
	_, _ = r.sum.Write(line)
	_, _ = r.sum.WriteString("\n")
}

func (r *Reader) line() ([]byte, error) {
	if r.lines.Scan() {
		return r.lines.Bytes(), nil
	}
	if err := r.lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTorn, err)
	}
	return nil, fmt.Errorf("%w: it has no last line with the checksum", ErrTorn)
}

// Next reads the next object; io.EOF after the last, if the trailer is right. Errors:
// ErrTorn; ErrFormat for an object that no store would take.
func (r *Reader) Next() (*Object, error) {
	b, err := r.line()
	if err != nil {
		return nil, err
	}
	o, t, err := parseLine(b)
	if err == nil && o != nil && (o.Expires < 0 || o.Expires > r.latest) {
		err = fmt.Errorf("%w: object %q of root %q expires at %d: milliseconds since 1970, at most 100 years from now", ErrFormat, o.Path, o.Root, o.Expires)
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", r.seen.Objects+2, err) // behind the header and the objects
	}
	if t != nil {
		return nil, r.finish(t)
	}
	r.add(b)
	r.seen.Objects++
	r.seen.Bytes += int64(len(o.Text) + len(o.Base64))
	return o, nil
}

func (r *Reader) finish(t *Trailer) error {
	got := fmt.Sprintf("%016x", r.sum.Sum64())
	switch {
	case t.Checksum == "" && r.Own && r.Header.Cluster == "":
		t.Checksum, t.Unchecked = got, true
	case t.Checksum == "":
		return fmt.Errorf("%w: the last line has no \"checksum\"; only import takes that, of a file whose header names no cluster", ErrTorn)
	case got != t.Checksum:
		return fmt.Errorf("%w: its checksum is %s, the last line says %s", ErrTorn, got, t.Checksum)
	}
	if t.Objects != r.seen.Objects || t.Bytes != r.seen.Bytes {
		return fmt.Errorf("%w: %d objects of %d bytes, the last line says %d of %d", ErrTorn, r.seen.Objects, r.seen.Bytes, t.Objects, t.Bytes)
	}
	if r.lines.Scan() {
		return fmt.Errorf("%w: there is more behind its last line", ErrTorn)
	}
	r.end = t
	return io.EOF
}

// Verify reads a whole file; own as Reader.Own. Errors: ErrFormat, ErrTorn.
func Verify(r io.Reader, own bool) (Header, Trailer, error) {
	in, err := NewReader(r)
	if err != nil {
		return Header{}, Trailer{}, err
	}
	in.Own = own
	for {
		if _, err := in.Next(); errors.Is(err, io.EOF) {
			return in.Header, *in.end, nil
		} else if err != nil {
			return in.Header, Trailer{}, err
		}
	}
}
