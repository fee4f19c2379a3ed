package replicated

import (
	"fmt"
	"strings"
)

// advise adds what to do here to an error that says what to do at a data node: the engine is theirs.
func advise(dir string, err error) error {
	if err == nil || !strings.Contains(err.Error(), "ringctl") {
		return err
	}
	return fmt.Errorf("%w. This is no data node but a server of xmppd, without ringctl: while the others are up move %s away, and start it again; it gets its copies from them", err, dir)
}
