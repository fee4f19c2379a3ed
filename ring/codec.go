package ring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// Errors of Decode.
var (
	// ErrNewerFormat: a newer program wrote the document.
	ErrNewerFormat = errors.New("ring document is of a newer format; upgrade this program")
	// ErrCorrupt: the document is damaged or was edited by hand.
	ErrCorrupt = errors.New("ring document is damaged")
)

// MaxEncoded is the largest document Decode takes, in bytes.
const MaxEncoded = 16 << 20

// The checksum is the last member of the JSON object, always written as below:
// XXH64 in 16 hexadecimal digits over the document without it, that is with the
// brace directly after what stands before the comma. A client in another
// language may check it with string operations, or not at all.
const (
	sumPrefix = `,"checksum":"`
	sumSuffix = `"}`
	sumLen    = len(sumPrefix) + 16 + len(sumSuffix)
)

// Encode writes a document as one line of JSON with its checksum. Errors: what
// Validate finds.
func Encode(d *Document) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("encode ring document: %w", err)
	}
	b := bytes.TrimRight(buf.Bytes(), "\n")
	if len(b)+sumLen > MaxEncoded {
		return nil, fmt.Errorf("ring document has %d bytes; the limit is %d", len(b)+sumLen, MaxEncoded)
	}
	sum := xxhash.Sum64(b)
	return fmt.Appendf(b[:len(b)-1], "%s%016x%s", sumPrefix, sum, sumSuffix), nil
}

// Sum is the checksum of an encoded document, in 16 hexadecimal digits: two
// documents with the same one are the same. Errors: those of Encode.
func (d *Document) Sum() (string, error) {
	b, err := Encode(d)
	if err != nil {
		return "", err
	}
	return string(b[len(b)-len(sumSuffix)-16 : len(b)-len(sumSuffix)]), nil
}

// Decode reads and checks a document. Errors: ErrNewerFormat, ErrCorrupt, or
// what Validate finds.
func Decode(b []byte) (*Document, error) {
	if len(b) > MaxEncoded {
		return nil, fmt.Errorf("%w: %d bytes; the limit is %d", ErrCorrupt, len(b), MaxEncoded)
	}
	var format struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &format); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if format.Version > FormatVersion {
		return nil, fmt.Errorf("%w (format %d, known %d)", ErrNewerFormat, format.Version, FormatVersion)
	}
	if err := checkSum(b); err != nil {
		return nil, err
	}
	var d struct {
		Document
		Checksum string `json:"checksum"`
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return &d.Document, nil
}

func checkSum(b []byte) error {
	body := len(b) - sumLen
	if body < 1 || string(b[body:body+len(sumPrefix)]) != sumPrefix || string(b[len(b)-len(sumSuffix):]) != sumSuffix {
		return fmt.Errorf("%w: no checksum at its end", ErrCorrupt)
	}
	h := xxhash.New()
	_, _ = h.Write(b[:body])
	_, _ = h.WriteString("}")
	if want := fmt.Sprintf("%016x", h.Sum64()); want != string(b[body+len(sumPrefix):len(b)-len(sumSuffix)]) {
		return fmt.Errorf("%w: checksum does not match", ErrCorrupt)
	}
	return nil
}
