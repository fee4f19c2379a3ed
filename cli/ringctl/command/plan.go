package command

import (
	"context"
	"fmt"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/cli/ringctl/plan"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

const planHelp = `
Nothing is changed yet: a plan is written to a file (--out, or ID.plan.json in this
directory), and ` + "`ringctl commit FILE`" + ` starts it. It is refused when the ring has changed
since (exit code 5). --yes plans and commits at once. Data is served throughout.
`

type planOptions struct {
	conn   connection
	output format
	out    string
	yes    bool
	commit commitOptions
}

func planFlags() []cli.Flag {
	return append(append(connectionFlags(), outputFlag(),
		&cli.StringFlag{Name: "out", DefaultText: "ID.plan.json", Usage: "`FILE` to write the plan to"},
		&cli.BoolFlag{Name: "yes", Usage: "commit the plan at once; a file is written only with --out"}),
		commitFlags()...)
}

func planOptionsOf(c *cli.Context, env Env) (o planOptions, err error) {
	o.out, o.yes = c.String("out"), c.Bool("yes")
	if o.output, err = outputOf(c); err != nil {
		return o, err
	}
	if o.commit, err = commitOptionsOf(c); err != nil {
		return o, err
	}
	o.conn, err = connectionOf(c, env)
	return o, err
}

// wanter works out what members a command wants of a ring.
type wanter func(ctx context.Context, op *admin.Client, doc *ring.Document) (plan.Wish, error)

// planAction is the action of a command that makes a plan.
func planAction(env Env, want func(c *cli.Context) (wanter, error)) cli.ActionFunc {
	return func(c *cli.Context) error {
		w, err := want(c)
		if err != nil {
			return err
		}
		o, err := planOptionsOf(c, env)
		if err != nil {
			return err
		}
		return withOperator(c.Context, o.conn, func(ctx context.Context, op *admin.Client) error {
			return makePlan(ctx, env, op, o, w)
		})
	}
}

func makePlan(ctx context.Context, env Env, op *admin.Client, o planOptions, want wanter) error {
	p, doc, err := planOf(ctx, op, o, want)
	if err != nil {
		return err
	}
	if p.Idle(doc) {
		return nothingToDo(env, p, doc, o)
	}
	file := o.out
	if file == "" && !o.yes {
		file = p.ID + ".plan.json"
	}
	if file != "" {
		if err := p.Save(file); err != nil {
			return err
		}
	}
	switch {
	case o.output == formatJSON && !o.yes:
		return writeJSON(env.Stdout, p)
	case o.output == formatTable:
		printPlan(env, p, doc)
	}
	if o.yes {
		return commitPlan(ctx, env, op, p, o.conn, o.output, o.commit)
	}
	_, err = fmt.Fprintf(env.Stdout, "\nnothing is changed yet; start it with\n   ringctl commit %s\n", file)
	return err
}

// nothingToDo tells so. There is no plan to write and none to commit: an epoch more would
// only refuse plans that others have made meanwhile.
func nothingToDo(env Env, p *plan.Plan, doc *ring.Document, o planOptions) error {
	switch {
	case o.output == formatTable:
		_, err := fmt.Fprintln(env.Stdout, "nothing to do: all is even, and no plan is written")
		return err
	case o.yes:
		return writeJSON(env.Stdout, map[string]any{"id": p.ID, "done": true, "epoch": doc.Epoch})
	}
	return writeJSON(env.Stdout, p)
}

func planOf(ctx context.Context, op *admin.Client, o planOptions, want wanter) (*plan.Plan, *ring.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, o.conn.timeout)
	defer cancel()
	doc, err := op.Ring(ctx)
	if err != nil {
		return nil, nil, unreachable(seesNothing(op, o.conn, err))
	}
	if doc.Change != nil {
		return nil, nil, fmt.Errorf("change %s is running: see `ringctl progress`, and wait until it is done or `ringctl cancel` it", doc.Change.ID)
	}
	w, err := want(ctx, op, doc)
	if err != nil {
		return nil, nil, err
	}
	w.Replica = op.ReplicaBytes(ctx, doc)
	w.Down, w.Free = look(ctx, op, w.Members)
	p, err := plan.Make(doc, w)
	return p, doc, err
}

// look finds out which members are not there, and how much room the others have.
func look(ctx context.Context, op *admin.Client, members []ring.Member) (down map[uint64]bool, free map[uint64]uint64) {
	down, free = make(map[uint64]bool), make(map[uint64]uint64)
	online := make(map[string]admin.NodeView)
	for _, v := range op.Nodes() {
		if v.Online {
			online[v.JID] = v
		}
	}
	for _, m := range members {
		v, there := online[m.JID]
		if !there || v.Health.Store != m.Store {
			down[m.ID] = true
			continue
		}
		if v.Health.State == wire.StateFull {
			free[m.ID] = 0
			continue
		}
		// Who does not tell is not warned of.
		if s, err := op.Status(ctx, m.JID); err == nil {
			free[m.ID] = s.DiskFree - min(s.Reserve, s.DiskFree)
		}
	}
	return down, free
}

func printPlan(env Env, p *plan.Plan, doc *ring.Document) {
	fmt.Fprintf(env.Stdout, "plan %s, from the ring of epoch %d\n\n", p.ID, p.Epoch)
	gets, gives := p.Gets(), p.Gives()
	holds := make(map[uint64]int)
	for _, row := range doc.Table {
		for _, id := range row {
			holds[id]++
		}
	}
	t := newTable(env.Stdout, "node", "member", "state", "zone", "weight", "holds", "gets", "gives", "will hold")
	for _, m := range p.Members {
		t.AppendRow([]any{
			nodeName(m.JID), m.ID, string(m.State), orDash(m.Zone), max(m.Weight, 1),
			holds[m.ID], gets[m.ID], gives[m.ID], holds[m.ID] + gets[m.ID] - gives[m.ID],
		})
	}
	rightAlign(t, 2, 5, 6, 7, 8, 9)
	t.Render()
	bytes := ""
	if p.Bytes > 0 {
		bytes = ", about " + bytesText(uint64(p.Bytes))
	}
	fmt.Fprintf(env.Stdout, "\n%d replicas move (%s)%s, in %s; %d partitions get another preferred leader\n",
		p.Moves, leastText(p), bytes, plural(len(p.Rounds), "round"), p.Transfers)
	for _, w := range p.Warnings {
		fmt.Fprintln(env.Stdout, "warning:", w)
	}
}

// leastText says what a plan can be measured by: the least is worked out without zones,
// which keep replicas apart and may need more.
func leastText(p *plan.Plan) string {
	if p.Moves > p.Least && slices.ContainsFunc(p.Members, func(m ring.Member) bool { return m.Zone != "" }) {
		return fmt.Sprintf("without zones at least %d would", p.Least)
	}
	return fmt.Sprintf("the least possible is %d", p.Least)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// rightAlign aligns columns of numbers, also where a cell is "-".
func rightAlign(t table.Writer, columns ...int) {
	var cfg []table.ColumnConfig
	for _, n := range columns {
		cfg = append(cfg, table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(cfg)
}

// names are the arguments of a command, at least so many.
func names(c *cli.Context, least int, what string) ([]string, error) {
	if err := flagsFirst(c); err != nil {
		return nil, err
	}
	if c.NArg() < least {
		return nil, usageErrorf("%s wants %s; see `%s --help`", c.Command.Name, what, commandName(c))
	}
	return c.Args().Slice(), nil
}
