package stanza

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// byXML renders doc as encoding/xml sees it, text that is in pieces joined.
func byXML(doc string) (string, error) {
	var out strings.Builder
	var text string
	flush := func() {
		if text != "" {
			fmt.Fprintf(&out, "T%q ", text)
		}
		text = ""
	}
	d := xml.NewDecoder(strings.NewReader(doc))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			flush()
			return out.String(), nil
		}
		if err != nil {
			return "", err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			flush()
			fmt.Fprintf(&out, "S{%s}%s", blanks.Replace(tok.Name.Space), tok.Name.Local)
			for _, a := range tok.Attr {
				// Attribute names are compared without the prefix: the package resolves
				// it. It does not normalize white space (XML 1.0, section 3.3.3).
				fmt.Fprintf(&out, " %s=%q", a.Name.Local, blanks.Replace(a.Value))
			}
			out.WriteByte(' ')
		case xml.EndElement:
			flush()
			fmt.Fprintf(&out, "E{%s}%s ", blanks.Replace(tok.Name.Space), tok.Name.Local)
		case xml.CharData:
			text += string(tok)
		default:
			return "", fmt.Errorf("token %T", tok)
		}
	}
}

var blanks = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")

// byParser renders doc as Parser sees it, in the same way.
func byParser(doc string) string {
	var out strings.Builder
	var text string
	flush := func() {
		if text != "" {
			fmt.Fprintf(&out, "T%q ", text)
		}
		text = ""
	}
	p := Parse([]byte(doc))
	for {
		switch p.Next() {
		case EOF:
			flush()
			return out.String()
		case Start:
			flush()
			fmt.Fprintf(&out, "S{%s}%s", p.NS(), p.Name())
			for {
				n, v, ok := p.NextAttr()
				if !ok {
					break
				}
				local := string(n)
				if i := strings.IndexByte(local, ':'); i >= 0 {
					local = local[i+1:]
				}
				fmt.Fprintf(&out, " %s=%q", local, blanks.Replace(string(v)))
			}
			out.WriteByte(' ')
		case End:
			flush()
			fmt.Fprintf(&out, "E{%s}%s ", p.NS(), p.Name())
		case Text:
			text += string(p.Text())
		}
	}
}

// verdict scans doc as one element.
func verdict(doc string) *Error {
	s := NewScanner(Limits{})
	st, n, err := s.Next([]byte(doc))
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case st == nil:
		return &Error{"not-well-formed", "unfinished"}
	case strings.Trim(doc[n:], " \t\r\n") != "":
		return &Error{"not-well-formed", "more than one element"}
	}
	return nil
}

// TestAgreesWithEncodingXML: of random elements, damaged or not, the scanner
// accepts none that encoding/xml refuses, and refuses only such as are restricted
// in XMPP or where encoding/xml is known to be lax.
func TestAgreesWithEncodingXML(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := damaged(t, document(t))
		_, err := byXML(doc)
		switch e := verdict(doc); {
		case e == nil:
			if err != nil {
				t.Fatalf("accepted %q, encoding/xml says %v", doc, err)
			}
		case err == nil && e.Condition == "not-well-formed":
			for _, l := range laxities() {
				if strings.Contains(e.Text, l) {
					return
				}
			}
			if strings.TrimSpace(doc) != "" {
				t.Fatalf("refused %q: %v", doc, e)
			}
		}
	})
}

// TestParserSeesWhatEncodingXMLSees on random elements that are well-formed.
func TestParserSeesWhatEncodingXMLSees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := document(t)
		if e := verdict(doc); e != nil {
			t.Fatalf("refused %q: %v", doc, e)
		}
		want, err := byXML(doc)
		if err != nil {
			t.Fatal(err)
		}
		if got := byParser(doc); got != want {
			t.Fatalf("%q:\n%s\nwant\n%s", doc, got, want)
		}
	})
}
