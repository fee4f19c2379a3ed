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
	if err := b.judge(rows(20)); err != nil {
		t.Errorf("a fifth of the peer's: %v", err)
	}
	if err := b.judge(rows(20.1)); err == nil {
		t.Error("more than a fifth of the peer's passes")
	}
	b.o.quick = true
	if err := b.judge(rows(20.1)); err != nil {
		t.Errorf("a quick run fails by its figures: %v", err)
	}
}

func TestMissingServers(t *testing.T) {
	s := server{name: prosody, program: "/nowhere/prosody", args: []string{"/nowhere/run.sh"}}
	if s.missing() == "" {
		t.Error("a program that is not there counts as installed")
	}
}
