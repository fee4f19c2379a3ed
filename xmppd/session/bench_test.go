package session

import (
	"testing"
)

// sink is a transport that takes everything.
type sink struct{}

func (sink) TryWrite(p []byte) (int, bool, error) { return len(p), false, nil }
func (sink) Finish() (int, error)                 { return 0, nil }
func (sink) Abort()                               {}

// BenchmarkSend shows what a stanza of 200 bytes costs a queue: plain, and kept until it is
// acknowledged, each fifth time by five.
func BenchmarkSend(b *testing.B) {
	m := make([]byte, 180)
	for _, acks := range []bool{false, true} {
		b.Run(map[bool]string{false: "plain", true: "acknowledged"}[acks], func(b *testing.B) {
			s, _ := testSession(nil, 1<<20)
			s.Out.t = sink{}
			var batch Batch
			if acks {
				batch.EnableAcks(s, &AckPolicy{Stanzas: 1000, Every: 5, Patience: 60, Watch: new(Watch)}, "id", 300, nil)
			}
			b.ReportAllocs()
			n := uint32(0)
			for b.Loop() {
				batch.Send(s, m[:8], m[:20], m, nil)
				batch.Flush()
				if n++; acks && n%5 == 0 {
					if err := s.Out.Ack(n); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
