package plan

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/rosterdb/rosterdb/ring"
)

// Wish is what an operator wants of a ring.
type Wish struct {
	Verb     string        // join, leave, replace, rebalance; begins the plan's id
	Command  string        // as typed, without flags of the connection
	Members  []ring.Member // as they are to be
	Replicas int           // copies of each partition; 0: as now

	Replica int64             // bytes of one replica; 0: not known
	Down    map[uint64]bool   // members that are not online
	Free    map[uint64]uint64 // bytes that members can take; missing: not known
}

// Make works out the plan that leads from a ring to a wish. It is pure: the same
// arguments give the same plan. Errors: those of ring.MakePlan.
func Make(doc *ring.Document, w Wish) (*Plan, error) {
	sum, err := doc.Sum()
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Version: Version, Command: w.Command, Cluster: doc.Cluster, Epoch: doc.Epoch, Ring: sum,
		Replicas: max(w.Replicas, doc.Replicas), Members: w.Members, Warnings: []string{}, Rounds: []Round{},
	}
	made, err := p.rounds(doc, ring.PlanOptions{Sizes: sizes(doc, w.Replica), Down: w.Down})
	if err != nil {
		return nil, err
	}
	p.Moves, p.Least, p.Transfers, p.Bytes = made.Moves, made.Least, made.Transfers, made.Bytes
	if p.Replicas > doc.Replicas {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d replicas instead of %d cannot be undone: the number is never lowered, and from then on %d data nodes have to stay; `ringctl cancel` takes it back before a partition has them",
			p.Replicas, doc.Replicas, p.Replicas))
	}
	p.Warnings = append(p.Warnings, made.Warnings...)
	for _, r := range made.Rounds {
		moves := make([]Move, len(r.Moves))
		for i, m := range r.Moves {
			moves[i] = Move(m)
		}
		p.Rounds = append(p.Rounds, Round{Moves: moves, Transfers: r.Transfers, Meta: r.Meta})
	}
	p.room(w)
	if p.ID, err = p.name(w.Verb); err != nil {
		return nil, err
	}
	p.Checksum, err = p.sum()
	return p, err
}

func sizes(doc *ring.Document, replica int64) []int64 {
	if replica <= 0 {
		return nil
	}
	out := make([]int64, doc.Partitions)
	for i := range out {
		out[i] = replica
	}
	return out
}

// rounds asks the ring for the way to the plan's members.
func (p *Plan) rounds(doc *ring.Document, opt ring.PlanOptions) (*ring.Plan, error) {
	from := *doc
	from.Replicas = p.Replicas
	return ring.MakePlan(&from, p.Members, opt)
}

// room warns of members that would get more than they have room for.
func (p *Plan) room(w Wish) {
	gets := p.Gets()
	for _, m := range p.Members {
		free, known := w.Free[m.ID]
		if need := uint64(int64(gets[m.ID]) * w.Replica); known && need > free {
			p.Warnings = append(p.Warnings, fmt.Sprintf("%s would get about %d MiB and can take %d MiB", m.JID, need>>20, free>>20))
		}
	}
}

// Idle says whether the plan would leave everything as it is in doc, the ring it
// was made from.
func (p *Plan) Idle(doc *ring.Document) bool {
	return len(p.Rounds) == 0 && p.Replicas == doc.Replicas && slices.Equal(p.Members, doc.Members)
}

// Gets counts the replicas that each member gets.
func (p *Plan) Gets() map[uint64]int {
	gets := make(map[uint64]int)
	for _, r := range p.Rounds {
		for _, m := range r.Moves {
			if m.Add != 0 {
				gets[m.Add]++
			}
		}
	}
	return gets
}

// Gives counts the replicas that each member gives up.
func (p *Plan) Gives() map[uint64]int {
	gives := make(map[uint64]int)
	for _, r := range p.Rounds {
		for _, m := range r.Moves {
			if m.Remove != 0 {
				gives[m.Remove]++
			}
		}
	}
	return gives
}

// name makes an id that is the same for the same plan.
func (p *Plan) name(verb string) (string, error) {
	b, err := json.Marshal([]any{p.Ring, p.Members, p.Replicas})
	if err != nil {
		return "", fmt.Errorf("encode plan: %w", err)
	}
	return fmt.Sprintf("%s-e%d-%06x", verb, p.Epoch, xxhash.Sum64(b)&0xFF_FFFF), nil
}

// Document returns the ring with which the plan begins, when doc is the ring of
// now: rate is in bytes a second for each node (0: its default), begun in
// milliseconds since 1970. Errors: ErrRingChanged, or what the ring says.
func (p *Plan) Document(doc *ring.Document, rate, begun int64) (*ring.Document, error) {
	if doc.Cluster != p.Cluster {
		return nil, fmt.Errorf("the plan is of cluster %s, this is %s", p.Cluster, doc.Cluster)
	}
	sum, err := doc.Sum()
	if err != nil {
		return nil, err
	}
	if doc.Epoch != p.Epoch || sum != p.Ring {
		return nil, fmt.Errorf("%w (it was of epoch %d, the ring has %d): `%s`", ErrRingChanged, p.Epoch, doc.Epoch, p.Command)
	}
	made, err := p.rounds(doc, ring.PlanOptions{})
	if err != nil {
		return nil, err
	}
	if !p.agrees(made) {
		return nil, fmt.Errorf("this ringctl would move other replicas than the one that made the plan: plan again with `%s`", p.Command)
	}
	from := *doc
	from.Replicas = p.Replicas
	return made.Begin(&from, p.Members, p.ID, rate, begun)
}

func (p *Plan) agrees(made *ring.Plan) bool {
	return slices.EqualFunc(p.Rounds, made.Rounds, func(a Round, b ring.Round) bool {
		return slices.Equal(a.Meta, b.Meta) && slices.EqualFunc(a.Moves, b.Moves, func(x Move, y ring.Move) bool { return x == Move(y) })
	})
}
