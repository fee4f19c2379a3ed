package admin

import (
	"fmt"
	"slices"
	"strings"
)

// resolve finds each name among full JIDs: as full JID, bare JID or account.
func resolve(known, names []string) ([]string, error) {
	out := make([]string, 0, len(names))
	for _, name := range names {
		jid, err := resolveOne(known, name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, jid) {
			return nil, fmt.Errorf("%s is named twice", jid)
		}
		out = append(out, jid)
	}
	return out, nil
}

func resolveOne(known []string, name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	if strings.Contains(name, "@") {
		return name + "/" + nodeResource, nil
	}
	var found []string
	for _, jid := range known {
		if account, _, _ := strings.Cut(jid, "@"); account == name && !slices.Contains(found, jid) {
			found = append(found, jid)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", fmt.Errorf("no data node %s is known: it is neither a member nor in the roster; name it by JID, or see `ringctl status`", name)
	default:
		return "", fmt.Errorf("%s may be %s: name it by JID", name, strings.Join(found, " or "))
	}
}
