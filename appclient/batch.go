package appclient

import "context"

// RootBatch is a batch for one root, among others of Client.Batch.
type RootBatch struct {
	Root      string
	Mutations []Mutation
}

// BatchOutcome is what became of one RootBatch.
type BatchOutcome struct {
	Result *BatchResult // nil with an error
	Err    error        // one of the write errors
}

// Batch applies batches on many roots, split by owner: those that one data node
// leads travel together. Each is atomic for itself, and ends for itself: there is
// an outcome for each, in their order. Two for one root are applied in any order.
func (c *Client) Batch(ctx context.Context, batches ...RootBatch) []BatchOutcome {
	out := make([]BatchOutcome, len(batches))
	calls := make([]*call, len(batches))
	for i, b := range batches {
		calls[i], out[i].Err = c.Root(b.Root).submit(b.Mutations)
	}
	for i, q := range calls {
		if q == nil {
			continue
		}
		if q, out[i].Err = c.Root(batches[i].Root).await(ctx, q); q != nil {
			out[i].Result = batchResult(&q.wres)
			c.engine.recycle(q)
		}
	}
	return out
}
