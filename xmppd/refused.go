package xmppd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	links "github.com/rosterdb/rosterdb/xmppd/cluster/link"
)

// refusedBy tells of the servers that refuse this one: a text without an error where it is not clear who is in the wrong, an error where
// more refuse it than are with it. Clients that come to such a server find other accounts than everywhere else.
func refusedBy(peers []links.Status) (warning string, err error) {
	var names []string
	reason, with := "", 1
	slices.SortFunc(peers, func(a, b links.Status) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range peers {
		switch {
		case p.Connected:
			with++
		case p.Listed && p.Refused:
			names = append(names, p.Name)
			if reason == "" {
				reason = p.Reason
			}
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	text := fmt.Sprintf("this server is refused by %s: %s", strings.Join(names, ", "), reason)
	if len(names) > with {
		return "", errors.New(text)
	}
	return text, nil
}

// standing is what healthz tells of the server beside its records: what should be looked after, and an error if clients should go to
// another one.
func (s *Server) standing() (warnings []string, err error) {
	if s.full.Load() {
		warnings = append(warnings, "the disk is full: this server can't take changes of the cluster's records; make room")
	}
	if s.cluster == nil {
		return warnings, nil
	}
	warning, err := refusedBy(s.cluster.Mesh().Status())
	if warning != "" {
		warnings = append(warnings, warning)
	}
	return warnings, err
}
