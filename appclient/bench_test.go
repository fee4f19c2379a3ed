package appclient_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
)

// The benchmarks count the fake cluster's work too, which is in the same
// process; compare them with themselves only.

func BenchmarkPut(b *testing.B) {
	value := make([]byte, 256)
	bench(b, func(r appclient.Root) error {
		_, err := r.Put(context.Background(), "", value)
		return err
	})
}

func BenchmarkGet(b *testing.B) {
	bench(b, func(r appclient.Root) error {
		_, err := r.Get(context.Background(), "")
		return err
	})
}

func bench(b *testing.B, do func(appclient.Root) error) {
	c := dial(b, cluster(b, appclienttest.Options{}), nil)
	for i := range 64 {
		if _, err := c.Root(fmt.Sprint("root", i)).Put(deadline(b), "", make([]byte, 256)); err != nil {
			b.Fatal(err)
		}
	}
	before := c.Stats()
	var next atomic.Int64
	b.SetParallelism(32)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		r := c.Root(fmt.Sprint("root", next.Add(1)%64))
		for pb.Next() {
			if err := do(r); err != nil {
				b.Error(err)
				return
			}
		}
	})
	after := c.Stats()
	b.ReportMetric(float64(after.Operations-before.Operations)/float64(after.Stanzas-before.Stanzas), "ops/stanza")
}
