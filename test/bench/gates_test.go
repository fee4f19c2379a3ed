package main

import "testing"

// TestJudge: a gate is met at exactly its factor, missed just beyond, and not judged without a peer.
func TestJudge(t *testing.T) {
	rows := func(mine float64) *samples {
		var all samples
		all.add(rowName(workChat, ours), []sample{{"server_cpu_us_each": mine}})
		all.add(rowName(workChat, ejabberd), []sample{{"server_cpu_us_each": 100.0}})
		return &all
	}
	b := &bench{}
	if err := b.judge(gates(), rows(20)); err != nil {
		t.Errorf("a fifth of the peer's: %v", err)
	}
	if err := b.judge(gates(), rows(20.1)); err == nil {
		t.Error("more than a fifth of the peer's passes")
	}
	b.o.quick = true
	if err := b.judge(gates(), rows(20.1)); err != nil {
		t.Errorf("a quick run fails by its figures: %v", err)
	}
}

// TestJudgeStore: a store's gate is missed by a rate that is only equal, and by more CPU.
func TestJudgeStore(t *testing.T) {
	b := &bench{o: options{quick: false}}
	rows := func(rate, cpu float64) *samples {
		var all samples
		for _, g := range b.storeGates() {
			all.add(g.ours, []sample{{"ops_s": rate, "server_cpu_us_each": cpu}})
			all.add(g.peer, []sample{{"ops_s": 10.0, "server_cpu_us_each": 50.0}})
		}
		return &all
	}
	for _, c := range []struct {
		rate, cpu float64
		met       bool
	}{{11, 50, true}, {10, 50, false}, {11, 51, false}} {
		if err := b.judge(b.storeGates(), rows(c.rate, c.cpu)); (err == nil) != c.met {
			t.Errorf("%v a second at %v us: %v", c.rate, c.cpu, err)
		}
	}
}

func TestMissingServers(t *testing.T) {
	s := server{name: prosody, program: "/nowhere/prosody", args: []string{"/nowhere/run.sh"}}
	if s.missing() == "" {
		t.Error("a program that is not there counts as installed")
	}
}
