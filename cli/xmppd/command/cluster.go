package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/xmppd"
)

func clusterCommand() *cli.Command {
	return &cli.Command{
		Name: "cluster", Usage: "look at the servers that serve the domain together, and change them", Action: unknownCommand,
		Subcommands: []*cli.Command{clusterStatus(), clusterSecrets(), clusterRemove(), clusterDrain()},
	}
}

func clusterStatus() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "list the servers that the running server of --data knows, what waits between them, and where their records are",
		Description: `COPIES are the partitions of the records (accounts, rosters, kept messages, ...) that a server has a copy of, LEADS those
that it leads, COMING the copies that it has still to get. A line below tells whether any copies are missing, and whether
the records can be read and changed when one more server is lost.
The exit code is 0 also when something is missing: -o json is for programs ("lacking", "lost", "survives_one_more").`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "`DIR` of the server", Value: xmppd.Defaults().Data},
			timeoutFlag(), outputFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			st, err := askStatus(c.Context, c.String("data"), c.Duration("timeout"))
			if err != nil {
				return err
			}
			if c.String("output") == "json" {
				return json.NewEncoder(c.App.Writer).Encode(st)
			}
			return writeStatus(c.App.Writer, st)
		},
	}
}

// timeoutFlag bounds how long the asked server may take for an answer.
func timeoutFlag() cli.Flag {
	return &cli.DurationFlag{Name: "timeout", Usage: "`TIME` that the asked server may take for an answer", Value: 10 * time.Second, Action: func(_ *cli.Context, d time.Duration) error {
		if d <= 0 {
			return usage(fmt.Errorf("--timeout is longer than nothing, not %v", d))
		}
		return nil
	}}
}

// askStatus is xmppd.AskClusterStatus with a bound.
func askStatus(ctx context.Context, data string, timeout time.Duration) (*xmppd.ClusterStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return xmppd.AskClusterStatus(ctx, data)
}

// absent is the state of a server that has a part of the records and is not there.
const absent = "absent"

// writeStatus writes the status for people.
func writeStatus(out io.Writer, st *xmppd.ClusterStatus) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	head := "NAME\tADDRESS\tZONE\tSTATE\tLINK\tSESSIONS\tQUEUE\tRESETS"
	if st.Records != nil {
		head += "\tCOPIES\tLEADS\tCOMING"
	}
	_, _ = fmt.Fprintln(w, head)
	for _, s := range st.Servers {
		link := "cut off"
		switch {
		case s.Self:
			link = "this one"
		case s.Connected:
			link = "connected"
		}
		line := fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d", s.Name, s.Address, s.Zone, stateOf(s), link, s.Sessions, s.Queue, s.Resets)
		if st.Records != nil {
			line += "\t" + share(s.Records)
		}
		_, _ = fmt.Fprintln(w, line)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, s := range st.Servers {
		if s.Reason != "" {
			_, _ = fmt.Fprintf(out, "\nno link with %s: %s\n", s.Name, s.Reason)
		}
	}
	if st.Records == nil {
		return nil
	}
	_, err := fmt.Fprintln(out, "\nrecords: "+strings.Join(recordLines(st), "\n         "))
	return err
}

// stateOf is the state of a server for people.
func stateOf(s xmppd.ClusterServer) string {
	state := s.State
	if s.Records != nil && s.Records.Leaving {
		state += ", leaves"
	}
	if s.DiskFull {
		state += ", disk full"
	}
	if s.DataGone {
		state += ", files gone"
	}
	return state
}

// share is what a server has of the records, in columns.
func share(r *xmppd.ServerRecords) string {
	if r == nil {
		return "-\t-\t-"
	}
	return strconv.Itoa(r.Copies) + "\t" + strconv.Itoa(r.Leads) + "\t" + strconv.Itoa(r.Coming)
}

// recordLines tell the state of the records.
func recordLines(st *xmppd.ClusterStatus) (lines []string) {
	r := st.Records
	if r.Cluster == "" {
		return []string{"this server has not seen the cluster's records yet; its log says what it waits for"}
	}
	lines = append(lines, fmt.Sprintf("%d partitions, %s of each", r.Partitions, copiesWord(r.Copies)))
	if r.Moving {
		lines = append(lines, fmt.Sprintf("moving: %d of %d copies are made", r.Moves-r.Left, r.Moves))
	}
	for _, s := range st.Servers {
		if s.Records != nil && s.Records.Lost > 0 {
			lines = append(lines, fmt.Sprintf("%s has lost its data: of %d partitions others make new copies", s.Name, s.Records.Lost))
		}
	}
	for _, s := range st.Servers {
		if s.DiskFull {
			lines = append(lines, "the disk of "+s.Name+" is full: it can't take changes, so make room there")
		}
	}
	for _, s := range st.Servers {
		if s.DataGone {
			lines = append(lines, "files of the records of "+s.Name+" were removed while it runs: its copies end with it; stop it, empty DIR/cluster there, and start it again")
		}
	}
	switch {
	case r.Lost > 0:
		lines = append(lines, fmt.Sprintf("%d partitions have no majority of their copies: accounts in them can't log in until more of %s are back", r.Lost, strings.Join(unreached(st), ", ")))
	case r.Lacking > 0 && len(unreached(st)) > 0:
		lines = append(lines, fmt.Sprintf("%d partitions lack a copy: %s can't be reached", r.Lacking, strings.Join(unreached(st), ", ")))
	case r.Lacking > 0:
		lines = append(lines, fmt.Sprintf("%d partitions lack a copy still", r.Lacking))
	default:
		lines = append(lines, "all copies are there")
	}
	return append(lines, survival(r))
}

func copiesWord(n int) string {
	if n == 1 {
		return "one copy"
	}
	return fmt.Sprintf("%d copies", n)
}

// survival says whether one more server may be lost.
func survival(r *xmppd.ClusterRecords) string {
	switch {
	case r.Lost > 0:
		return "no more server may be lost"
	case r.Survives:
		return "one more server may be lost, whichever it is"
	case len(r.Needed) == 0:
		return "a server is joining, or has lost its data: wait until it is up before another one is stopped"
	default:
		return "must not be lost now: " + strings.Join(r.Needed, ", ") + " (a part of the records would have no majority)"
	}
}

// unreached are the servers with records that the asked one does not reach.
func unreached(st *xmppd.ClusterStatus) (names []string) {
	for _, s := range st.Servers {
		if s.Records != nil && !s.Connected {
			names = append(names, s.Name)
		}
	}
	return names
}

// needed tells whether the records need a server: without it a part of them has no majority.
func needed(st *xmppd.ClusterStatus, name string) bool {
	return st.Records != nil && slices.Contains(st.Records.Needed, name)
}
