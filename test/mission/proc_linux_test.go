package mission

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// listeners returns the sockets on which a process takes connections or
// datagrams, from /proc: TCP in state LISTEN, and UDP that is bound.
func listeners(pid int) ([]string, error) {
	inodes := map[string]bool{}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return nil, err
	}
	for _, fd := range fds {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var found []string
	for _, table := range []struct{ name, state string }{
		{"tcp", "0A"}, {"tcp6", "0A"}, {"udp", "07"}, {"udp6", "07"}, // net/tcp_states.h
	} {
		rows, err := socketTable(pid, table.name)
		if err != nil {
			return nil, err
		}
		for _, f := range rows {
			if f[3] == table.state && inodes[f[9]] {
				found = append(found, table.name+" "+f[1])
			}
		}
	}
	return found, nil
}

func socketTable(pid int, name string) ([][]string, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, name))
	if os.IsNotExist(err) {
		return nil, nil // no IPv6 here
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var rows [][]string
	s := bufio.NewScanner(f)
	for s.Scan() {
		if fields := strings.Fields(s.Text()); len(fields) > 9 && fields[0] != "sl" {
			rows = append(rows, fields)
		}
	}
	return rows, s.Err()
}
