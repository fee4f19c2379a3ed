package cluster

const childVar = "ROSTERDB_TEST_CHILD"

func runChild() {}
