package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/rosterdb/rosterdb/appclient"
)

// claims are objects that clients create if there is none, look at, and delete if nothing has changed. Between the two
// nobody else can have it: so what is read then is one's own, and the deletion finds it.
type claims struct {
	meter *meter
	held  atomic.Int64 // how often one was had
	wrong complaints
}

const (
	claimClients = 4
	claimRoots   = 2
)

func (k *claims) clients() int { return claimClients }

func claimRoot(i int) string { return fmt.Sprintf("claim/%d", i) }

func (k *claims) run(ctx context.Context, c *appclient.Client, id int) {
	rng := rand.New(rand.NewPCG(11, uint64(id)))
	for n := 0; ctx.Err() == nil; n++ {
		root, own := c.Root(claimRoot(rng.IntN(claimRoots))), fmt.Sprintf("%d.%d", id, n)
		var version uint64
		switch k.meter.do(ctx, func(ctx context.Context) (err error) {
			version, err = root.Put(ctx, "claim", []byte(own), appclient.IfAbsent())
			return err
		}) {
		case applied:
			k.hold(ctx, root, own, version)
		case conflict:
			k.clear(ctx, root, id)
		}
	}
}

// hold looks at what was acknowledged, and gives it back.
func (k *claims) hold(ctx context.Context, root appclient.Root, own string, version uint64) {
	k.held.Add(1)
	var found *appclient.Object
	if k.meter.do(ctx, func(ctx context.Context) (err error) {
		found, err = root.Get(ctx, "claim")
		return err
	}) == applied {
		k.check(own, version, found)
	}
	// A deletion of unknown outcome may have been carried out: then the next finds nothing.
	for first := true; ; first = false {
		switch o := k.remove(ctx, root, version); {
		case o == conflict && first:
			k.wrong.add("%s: the claim %s of version %d is not there to be deleted", root.Name(), own, version)
			return
		case o != unknown || ctx.Err() != nil:
			return
		}
	}
}

// check looks at what is there while a client has a claim; nil is nothing.
func (k *claims) check(own string, version uint64, found *appclient.Object) {
	switch {
	case found == nil:
		k.wrong.add("the claim %s of version %d is not there while it is held", own, version)
	case string(found.Value) != own || found.Version != version:
		k.wrong.add("the claim %s of version %d is held, and there is %s of version %d", own, version, found.Value, found.Version)
	}
}

func (k *claims) remove(ctx context.Context, root appclient.Root, version uint64) outcome {
	return k.meter.do(ctx, func(ctx context.Context) error {
		return root.Delete(ctx, "claim", appclient.IfVersion(version))
	})
}

// clear takes away a claim of one's own that one knows nothing of: its outcome was unknown.
func (k *claims) clear(ctx context.Context, root appclient.Root, id int) {
	var left *appclient.Object
	if k.meter.do(ctx, func(ctx context.Context) (err error) {
		left, err = root.Get(ctx, "claim")
		return err
	}) != applied || left == nil {
		return
	}
	var owner int
	if _, err := fmt.Sscanf(string(left.Value), "%d.", &owner); err != nil {
		k.wrong.add("%s holds %q, which nobody wrote", root.Name(), left.Value)
	} else if owner == id {
		k.remove(ctx, root, left.Version)
	}
}

func (k *claims) judge(_ context.Context, _ *appclient.Client, v *Verdict) error {
	k.wrong.judge(v)
	if k.held.Load() == 0 {
		v.complain(&v.Wrong, 1, "nobody ever had a claim")
	}
	return nil
}
