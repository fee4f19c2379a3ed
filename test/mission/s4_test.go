package mission

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

// checkReferences: an object refers to one that another data node owns; the
// reference is resolved by asking that node, and one whose target is gone is
// reported as not found while the object that refers to it stays readable. A report
// lists all that dangle.
func checkReferences(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary})
	writer, reader := harness.Dial(t, c, nil), harness.Dial(t, c, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	order := writer.Root("order/1")
	customer := elsewhere(t, writer, "order/1")
	if _, err := writer.Root(customer).Put(ctx, "address", []byte("12 Elm Street")); err != nil {
		t.Fatal(err)
	}
	ref := appclient.Ref{Root: customer, Path: "address"}
	if _, err := order.Put(ctx, "ship-to", nil, appclient.WithRefs(ref, appclient.Ref{Root: "nobody", Path: "nowhere"})); err != nil {
		t.Fatal(err)
	}
	o, err := reader.Root("order/1").Get(ctx, "ship-to")
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Refs) != 2 || o.Refs[0] != ref {
		t.Fatalf("references read back: %v", o.Refs)
	}
	target, err := reader.Resolve(ctx, o.Refs[0])
	if err != nil || string(target.Value) != "12 Elm Street" {
		t.Fatalf("resolved %v, %v", target, err)
	}
	if _, err := reader.Resolve(ctx, o.Refs[1]); !errors.Is(err, appclient.ErrNotFound) {
		t.Errorf("a reference to what never was: %v, want not found", err)
	}
	if err := writer.Root(customer).Delete(ctx, "address"); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Resolve(ctx, o.Refs[0]); !errors.Is(err, appclient.ErrNotFound) {
		t.Errorf("a reference to what was deleted: %v, want not found", err)
	}
	if _, err := reader.Root("order/1").Get(ctx, "ship-to"); err != nil {
		t.Errorf("the object with a dangling reference: %v", err)
	}
	var found []appclient.Ref
	for d, err := range reader.Dangling(ctx, "order/") {
		if err != nil {
			t.Fatal(err)
		}
		if d.From != (appclient.Ref{Root: "order/1", Path: "ship-to"}) {
			t.Errorf("a dangling reference of %v", d.From)
		}
		found = append(found, d.To)
	}
	if !slices.Equal(found, []appclient.Ref{ref, {Root: "nobody", Path: "nowhere"}}) {
		t.Errorf("the report of dangling references: %v", found)
	}
}

// elsewhere returns the name of a root that another data node leads.
func elsewhere(t *testing.T, c *appclient.Client, root string) string {
	t.Helper()
	for i := range 1000 {
		if name := fmt.Sprintf("customer/%d", i); c.Where(name).Leader != c.Where(root).Leader {
			return name
		}
	}
	t.Fatal("one node leads everything")
	return ""
}
