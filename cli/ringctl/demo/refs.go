package demo

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rosterdb/rosterdb/appclient"
)

// chainStart is the root whose references are followed.
const chainStart = "net/http"

// hop is one root on the way along the references.
type hop struct {
	root   string
	leader string // the data node that answered for it
	refs   int
}

// follow goes from a root to the first root that it refers to and has not been
// visited, and on, to one without references.
func follow(ctx context.Context, c *appclient.Client, start string) ([]hop, error) {
	var hops []hop
	visited := map[string]bool{}
	for ref := (appclient.Ref{Root: start}); ; {
		ctx, cancel := context.WithTimeout(ctx, opTimeout)
		o, err := c.Resolve(ctx, ref)
		cancel()
		if err != nil {
			return hops, fmt.Errorf("resolve %s (behind %d others): %w", ref.Root, len(hops), err)
		}
		visited[ref.Root] = true
		hops = append(hops, hop{root: ref.Root, leader: nodeName(c.Where(ref.Root).Leader), refs: len(o.Refs)})
		next := -1
		for i, r := range o.Refs {
			if !visited[r.Root] {
				next = i
				break
			}
		}
		if next < 0 {
			if len(o.Refs) > 0 {
				return hops, fmt.Errorf("the references from %s run in a circle at %s", start, ref.Root)
			}
			return hops, nil
		}
		ref = o.Refs[next]
	}
}

// chainText shows the hops in lines that fit into a terminal of 80 columns.
func chainText(hops []hop) string {
	const width = 70
	var b strings.Builder
	column := 0
	for i, h := range hops {
		part := h.root + " (" + h.leader + ")"
		if i > 0 {
			part = " → " + part
		}
		if n := utf8.RuneCountInString(part); column > 0 && column+n > width {
			b.WriteString("\n   ")
			column = n
		} else {
			column += n
		}
		b.WriteString(part)
	}
	return b.String()
}

// nodeName is the short name of a data node: the account of its JID.
func nodeName(jid string) string {
	name, _, _ := strings.Cut(jid, "@")
	return name
}
