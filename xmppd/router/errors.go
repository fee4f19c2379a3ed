package router

// StreamError ends a stream (RFC 6120 section 4.9).
type StreamError struct {
	Condition string // RFC 6120 section 4.9.3
	Text      string // for people; may be empty
}

func (e *StreamError) Error() string {
	if e.Text == "" {
		return "stream error: " + e.Condition
	}
	return "stream error: " + e.Condition + ": " + e.Text
}
