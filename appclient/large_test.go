package appclient_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
	"github.com/rosterdb/rosterdb/internal/op"
)

// many are as many references as an object may have, with names of n apostrophes.
func many(n int) []appclient.Ref {
	refs := make([]appclient.Ref, op.MaxRefs)
	for i := range refs {
		refs[i].Root = fmt.Sprint(i, strings.Repeat("'", n))
	}
	return refs
}

// TestReadsLargerThanAnIQ: an object whose references do not fit an IQ is read by message.
func TestReadsLargerThanAnIQ(t *testing.T) {
	read := func(f appclient.Faults) error {
		c, err := appclient.DialWith(deadline(t), cluster(t, appclienttest.Options{}).Config(), f)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // never fails
		value := make([]byte, 500_000)
		if _, err := c.Root("r").Put(deadline(t), "x", value, appclient.WithRefs(many(20)...)); err != nil {
			t.Fatal(err)
		}
		o, err := c.Root("r").Get(deadline(t), "x")
		if err == nil && (len(o.Refs) != op.MaxRefs || len(o.Value) != len(value)) {
			t.Errorf("%d references, value of %d bytes", len(o.Refs), len(o.Value))
		}
		return err
	}
	if err := read(appclient.Faults{}); err != nil {
		t.Error(err)
	}
	if err := read(appclient.Faults{LargeRefused: true}); !errors.Is(err, appclient.ErrTooLarge) {
		t.Errorf("the seeded fault was not noticed: %v", err)
	}
}

// TestBatchesTooLarge: a batch that is too large only as XML is refused before it is sent.
func TestBatchesTooLarge(t *testing.T) {
	write := func(f appclient.Faults, within time.Duration) error {
		c, err := appclient.DialWith(deadline(t), cluster(t, appclienttest.Options{}).Config(), f)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // never fails
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		_, err = c.Root("r").Put(ctx, "x", nil, appclient.WithRefs(many(400)...))
		return err
	}
	if err := write(appclient.Faults{}, time.Minute); !errors.Is(err, appclient.ErrTooLarge) || errors.Is(err, appclient.ErrUnknownOutcome) {
		t.Errorf("10 MB of XML: %v", err)
	}
	if err := write(appclient.Faults{AnySize: true}, 200*time.Millisecond); err == nil || errors.Is(err, appclient.ErrTooLarge) {
		t.Errorf("the seeded fault was not noticed: %v", err)
	}
}
