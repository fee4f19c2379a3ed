package command

import (
	"path/filepath"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/urfave/cli/v2"
)

func devStatusCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "which processes of a directory's cluster run",
		Description: `Lists every process of the cluster, those that do not run too. Exit code 4 if
any of them does not. Without --dir it is the cluster of ROSTERDB_DEV. What the store itself says is told by ringctl status.

   ringctl dev status --dir /tmp/ring -o json`,
		Flags: []cli.Flag{dirFlag(), outputFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			out, err := outputOf(c)
			if err != nil {
				return err
			}
			dir, err := existingDirOf(c, env)
			if err != nil {
				return err
			}
			return devStatus(env, dir, out)
		},
	}
}

// processRow is one process in the output of dev status.
type processRow struct {
	ID      string `json:"id"`
	PID     int    `json:"pid"`
	Running bool   `json:"running"`
	Log     string `json:"log"`
}

func devStatus(env Env, dir string, out format) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	info, err := devcluster.Load(filepath.Join(dir, devcluster.InfoFile))
	if err != nil {
		return err
	}
	rows := []processRow{}
	add := func(id string, pid int) {
		rows = append(rows, processRow{ID: id, PID: pid, Running: devcluster.Running(dir, pid), Log: filepath.Join(dir, "logs", id+".log")})
	}
	for _, s := range info.Servers {
		add(s.ID, s.PID)
	}
	for _, n := range info.Nodes {
		add(n.ID, n.PID)
	}
	if err := printProcesses(env, rows, out); err != nil {
		return err
	}
	for _, r := range rows {
		if !r.Running {
			return errDegraded
		}
	}
	return nil
}

func printProcesses(env Env, rows []processRow, out format) error {
	if out == formatJSON {
		return writeJSON(env.Stdout, map[string]any{"processes": rows})
	}
	t := newTable(env.Stdout, "process", "pid", "state", "log")
	for _, r := range rows {
		state := "down"
		if r.Running {
			state = "running"
		}
		t.AppendRow([]any{r.ID, r.PID, state, r.Log})
	}
	t.Render()
	return nil
}
