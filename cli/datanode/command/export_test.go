package command

// ParseSize gives the tests parseSize.
func ParseSize(s string) (uint64, error) { return parseSize(s) }
