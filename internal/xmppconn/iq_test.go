package xmppconn

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn/xmppconntest"
)

// answering gives an IQ the answers that a test wants, with %ID% for its id.
func answering(answers string) func(*xmppconntest.Session, *stanza.Stanza) {
	return func(s *xmppconntest.Session, st *stanza.Stanza) {
		if st.Kind == stanza.IQ {
			s.Send([]byte(strings.ReplaceAll(answers, "%ID%", st.AttrString(st.ID))))
		}
	}
}

func TestIQs(t *testing.T) {
	for _, tc := range []struct {
		name    string
		to      string
		answers string
		child   string
		fails   string // condition
	}{
		{"result", "dn1@localhost/store", `<iq type='result' id='%ID%' from='dn1@localhost/store'><a>1</a></iq>`, "<a>1</a>", ""},
		{"empty result", "dn1@localhost/store", `<iq type='result' id='%ID%' from='dn1@localhost/store'/>`, "", ""},
		{
			"forged answers come first", "dn1@localhost/store",
			`<iq type='result' id='%ID%' from='eve@localhost/x'><a>evil</a></iq>` +
				`<iq type='error' id='%ID%' from='dn1@localhost'><error type='cancel'/></iq>` +
				`<iq type='result' id='%ID%'><a>evil</a></iq>` +
				`<iq type='result' id='%ID%' from='dn1@localhost/store'><a>good</a></iq>`, "<a>good</a>", "",
		},
		{"own account, no from", "", `<iq type='result' id='%ID%'><a/></iq>`, "<a/>", ""},
		{"own account, bare from", "", `<iq type='result' id='%ID%' from='ann@localhost'><a/></iq>`, "<a/>", ""},
		{
			"error", "dn1@localhost/store",
			`<iq type='error' id='%ID%' from='dn1@localhost/store'><a/><error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>too &amp; much</text></error></iq>`, "", "resource-constraint",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, xmppconntest.Options{Stanza: answering(tc.answers)})
			r := newRecorder()
			start(t, s, Config{InsecurePlaintext: true}, r)
			r.until(t, "login", func() bool { return len(r.up) == 1 })
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			child, err := r.iqs.Do(ctx, r.conn(), tc.to, "get", []byte("<q xmlns='urn:example'/>"))
			var se *StanzaError
			if errors.As(err, &se) != (tc.fails != "") || (se != nil && se.Condition != tc.fails) {
				t.Fatalf("Do: %v, want condition %q", err, tc.fails)
			}
			if se != nil && (se.Type != "wait" || se.Text != "too & much") {
				t.Errorf("error read as %+v", se)
			}
			if string(child) != tc.child {
				t.Errorf("child %q, want %q", child, tc.child)
			}
		})
	}
}

func TestIQEndsWithStream(t *testing.T) {
	s := serve(t, xmppconntest.Options{Stanza: func(s *xmppconntest.Session, _ *stanza.Stanza) { s.Close() }})
	r := newRecorder()
	start(t, s, Config{InsecurePlaintext: true}, r)
	r.until(t, "login", func() bool { return len(r.up) == 1 })
	if _, err := r.iqs.Do(t.Context(), r.conn(), "", "get", []byte("<q xmlns='urn:example'/>")); !errors.Is(err, ErrClosed) {
		t.Errorf("Do: %v, want ErrClosed", err)
	}
}

func TestIQEndsWithContext(t *testing.T) {
	s := serve(t, xmppconntest.Options{})
	r := newRecorder()
	start(t, s, Config{InsecurePlaintext: true}, r)
	r.until(t, "login", func() bool { return len(r.up) == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := r.iqs.Do(ctx, r.conn(), "", "get", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Do: %v, want the context's error", err)
	}
	if len(r.iqs.wait) != 0 {
		t.Error("an IQ that nobody waits for is remembered")
	}
}
