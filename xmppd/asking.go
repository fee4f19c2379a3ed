package xmppd

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/cluster/ask"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// What servers of a cluster ask one another.
const (
	askPresent  ask.Topic = 1 // whether an account (the body) has a session that others see; "yes" or nothing
	askSessions ask.Topic = 2 // the sessions, at most as many as the body says
)

// askFor is how long others have to answer.
const askFor = 2 * time.Second

// newAsker has the server ask the others of its cluster, and answer them.
func (s *Server) newAsker(table *session.Table) {
	s.asker = ask.New(ask.Config{Mesh: s.cluster.Mesh(), Log: s.log, Deaf: s.faults.deaf, Answers: map[ask.Topic]func([]byte) []byte{
		askPresent: func(account []byte) []byte {
			if presentHere(table, string(account)) {
				return []byte("yes")
			}
			return nil
		},
		askSessions: func(limit []byte) []byte {
			n, err := strconv.Atoi(string(limit))
			if err != nil {
				n = 0
			}
			out, err := json.Marshal(sessionsHere(table, n))
			if err != nil {
				return nil // never: it is texts and a number
			}
			return out
		},
	}})
}

// presentHere reports whether an account has a session here that others see.
func presentHere(table *session.Table, account string) bool {
	return slices.ContainsFunc(table.User(account).Sessions(), func(s *session.Session) bool { return s.Presence() != nil })
}

// presentElsewhere reports whether an account has a session on another server that others see. A server that has
// one and does not say is an error.
func (s *Server) presentElsewhere(ctx context.Context, account string) (bool, error) {
	if s.asker == nil {
		return false, nil
	}
	ctx, stop := context.WithTimeout(ctx, askFor)
	defer stop()
	self := s.cluster.Self().Name
	holders := slices.DeleteFunc(s.exchange.Holders(ctx, account, false), func(name string) bool { return name == self })
	answers, silent := s.asker.Ask(ctx, askPresent, []byte(account), holders)
	for _, a := range answers {
		if string(a) == "yes" {
			return true, nil
		}
	}
	if len(silent) > 0 {
		return false, &module.Error{Type: "wait", Condition: "remote-server-timeout", Text: "a server that has sessions of the account does not answer"}
	}
	return false, nil
}

// some are sessions of a server, or of all.
type some struct {
	Count int      `json:"count"`
	JIDs  []string `json:"jids,omitempty"` // full; some of them, if there are many
	// Silent are the servers whose sessions are not counted: they could not be asked, or did not answer.
	Silent []string `json:"-"`
}

func sessionsHere(table *session.Table, limit int) (all some) {
	all.Count = table.Count()
	if limit > 0 {
		table.Each(func(sess *session.Session) bool {
			all.JIDs = append(all.JIDs, sess.Full)
			return len(all.JIDs) < limit
		})
	}
	return all
}

// sessions are those of all servers; at most limit are named.
func (s *Server) sessions(ctx context.Context, table *session.Table, limit int) some {
	all := sessionsHere(table, limit)
	if s.asker != nil {
		ctx, stop := context.WithTimeout(ctx, askFor)
		defer stop()
		var others []string
		for _, m := range s.cluster.Members() {
			if m.Name != s.cluster.Self().Name {
				others = append(others, m.Name)
			}
		}
		answers, silent := s.asker.Ask(ctx, askSessions, []byte(strconv.Itoa(limit)), others)
		for server, body := range answers {
			var more some
			if err := json.Unmarshal(body, &more); err != nil {
				silent = append(silent, server)
				continue
			}
			all.Count += more.Count
			all.JIDs = append(all.JIDs, more.JIDs...)
		}
		all.Silent = silent
	}
	slices.Sort(all.JIDs)
	slices.Sort(all.Silent)
	all.JIDs = all.JIDs[:min(len(all.JIDs), limit)]
	return all
}
