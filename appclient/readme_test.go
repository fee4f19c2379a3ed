package appclient_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
)

// readme is the client of README.md, word for word but for whom it dials.
func readme(ctx context.Context, cfg appclient.Config) error {
	client, err := appclient.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	cart := client.Root("cart/42")
	version, err := cart.Put(ctx, "item/1", []byte("two apples"))
	if err != nil {
		return err
	}
	if _, err = cart.CompareAndSwap(ctx, "item/1", version, []byte("three apples")); errors.Is(err, appclient.ErrConflict) {
		fmt.Println("somebody else was faster: read again")
	}
	return nil
}

// readmeMore is the second piece of it.
func readmeMore(ctx context.Context, client *appclient.Client, cart appclient.Root) error {
	item, err := cart.Get(ctx, "item/1")
	if err != nil {
		return err
	}
	order := client.Root("order/7")
	_, err = order.Batch(ctx,
		appclient.Put("", []byte("new"), appclient.WithRefs(item.Ref())),
		appclient.Put("line/1", item.Value, appclient.IfAbsent()),
		appclient.Delete("draft"),
	)
	if err != nil {
		return err
	}
	for line, err := range order.List(ctx, appclient.ListOptions{Prefix: "line/"}) {
		if err != nil {
			return err
		}
		fmt.Println(line.Path, line.Size)
	}
	placed, err := order.Get(ctx, "")
	if err != nil {
		return err
	}
	bought, err := client.Resolve(ctx, placed.Refs[0])
	if err != nil {
		return err
	}
	fmt.Printf("from %s: %s\n", bought.Root, bought.Value)
	return nil
}

// TestReadme: the client shown to newcomers is the one above, which compiles and
// works.
func TestReadme(t *testing.T) {
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```go\n")
	shown, text, _ := strings.Cut(text, "```\n")
	_, text, _ = strings.Cut(text, "```go\n")
	more, _, ok := strings.Cut(text, "```\n")
	if !ok {
		t.Fatal("README.md does not show two pieces of Go code")
	}
	const dialled = `appclient.Config{
	JID: "app@example.org", Password: password, Addrs: []string{"xmpp.example.org:5222"},
}`
	_ = appclient.Config{JID: "app@example.org", Password: "", Addrs: []string{"xmpp.example.org:5222"}}
	if !strings.Contains(shown, dialled) {
		t.Errorf("README.md does not dial with %s", dialled)
	}
	shown = strings.Replace(shown, dialled, "cfg", 1)
	for name, shown := range map[string]string{"readme": shown, "readmeMore": more} {
		if body := bodyOf(string(source), name); shown != body {
			t.Errorf("README.md shows\n%s\nand what is tested is\n%s", shown, body)
		}
	}
	cl := cluster(t, appclienttest.Options{})
	if err := readme(deadline(t), cl.Config()); err != nil {
		t.Error(err)
	}
	client := dial(t, cl, nil)
	if err := readmeMore(deadline(t), client, client.Root("cart/42")); err != nil {
		t.Error(err)
	}
}

// bodyOf returns what a function does up to its last return, without indentation.
func bodyOf(source, name string) string {
	_, body, _ := strings.Cut(source, "func "+name+"(")
	_, body, _ = strings.Cut(body, "{\n")
	body, _, _ = strings.Cut(body, "\treturn nil\n}\n")
	return strings.TrimPrefix(strings.ReplaceAll("\n"+body, "\n\t", "\n"), "\n")
}
