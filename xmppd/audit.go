package xmppd

import (
	"context"
	"log/slog"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// Ways in which accounts and rosters are changed, in the log.
const (
	byAdminSocket  = "admin socket"
	byRegistration = "in-band registration"
)

// maxAudited is how much the log shows of a name, in bytes: strangers who register may send any.
const maxAudited = 256

// audit logs what somebody has changed, or tried to, about an account. Passwords are none of its
// business.
type audit struct{ log *slog.Logger }

// changed is told after the fact. by says who, or by what way; more are attributes.
func (a audit) changed(ctx context.Context, by, what, account string, err error, more ...any) {
	if len(account) > maxAudited {
		account = account[:maxAudited] + "..."
	}
	args := append([]any{"what", what, "account", account, "by", by}, more...)
	if err != nil {
		args = append(args, "error", err)
	}
	a.log.InfoContext(ctx, "administration", args...)
}

// command is told of each ad-hoc command.
func (a audit) command(ctx context.Context, by stanza.JID, name string, values map[string][]string, err error) {
	account := ""
	if v := values["accountjid"]; len(v) == 1 {
		account = v[0]
	}
	a.changed(ctx, by.String(), name, account, err)
}
