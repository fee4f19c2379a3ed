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
	_, err = cart.CompareAndSwap(ctx, "item/1", version, []byte("three apples"))
	if errors.Is(err, appclient.ErrConflict) {
		fmt.Println("somebody else was faster: read again")
	} else if err != nil {
		return err
	}
	item, err := cart.Get(ctx, "item/1")
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", item.Value)
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
	_, shown, _ := strings.Cut(string(page), "```go\n")
	shown, _, ok := strings.Cut(shown, "```\n")
	if !ok {
		t.Fatal("README.md shows no Go code")
	}
	const dialled = `appclient.Config{
	JID: "app@example.org", Password: password, Addrs: []string{"xmpp.example.org:5222"},
}`
	_ = appclient.Config{JID: "app@example.org", Password: "", Addrs: []string{"xmpp.example.org:5222"}}
	if !strings.Contains(shown, dialled) {
		t.Errorf("README.md does not dial with %s", dialled)
	}
	shown = strings.Replace(shown, dialled, "cfg", 1)
	_, body, _ := strings.Cut(string(source), "func readme(ctx context.Context, cfg appclient.Config) error {\n")
	body, _, _ = strings.Cut(body, "\treturn nil\n}\n")
	body = strings.TrimPrefix(strings.ReplaceAll("\n"+body, "\n\t", "\n"), "\n")
	if shown != body {
		t.Errorf("README.md shows\n%s\nand what is tested is\n%s", shown, body)
	}
	if err := readme(deadline(t), cluster(t, appclienttest.Options{}).Config()); err != nil {
		t.Error(err)
	}
}
