package im

import (
	"context"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// mail is what one change sends. What is for sessions here is queued at once. What is for other
// domains waits until no roster is locked: whatever serves such a domain may answer in the same
// call. It belongs to one goroutine.
type mail struct {
	*session.Batch
	away [][]byte // whole stanzas, addressed
	// gated tells that the account whose presence is sent may have blocked single sessions.
	gated bool
	// gather tells that presence is sent to many: their accounts come together in many.
	gather bool
	many   []string
	// before are the sessions at other servers that were in sight when a change of rosters began (Service.change).
	before []string
}

func newMail() *mail { return &mail{Batch: new(session.Batch)} }

// dispatch sends what is for other domains. A contact whose domain is not to be reached has no
// presence to be told of, so a failure needs no answer.
func (s *Service) dispatch(ctx context.Context, b *mail) {
	if len(b.away) > 0 {
		b.Block()
	}
	for _, raw := range b.away {
		if err := s.router.Inject(ctx, raw, b.Batch); err != nil {
			s.unsent(raw, err)
		}
	}
	b.away = nil
}

// unsent logs presence that nobody takes.
func (s *Service) unsent(raw []byte, err error) {
	if st, parseErr := stanza.One(raw); parseErr == nil {
		s.log.Debug("presence not sent to another domain", "from", st.AttrString(st.From), "to", st.AttrString(st.To), "error", err)
	}
}

// post sends all of it.
func (s *Service) post(ctx context.Context, b *mail) {
	s.dispatch(ctx, b)
	b.Flush()
}
