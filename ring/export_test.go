package ring

// Owners gives the tests the library's own placement.
func Owners(partitions int, members []Member) []uint64 { return owners(partitions, members) }
