package appclient_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/xmppconn/xmppconntest"
)

const devAccounts = `"accounts":{"app":{"jid":"app@localhost","password":"pw"}}`

func TestFromDev(t *testing.T) {
	if _, err := appclient.FromDev(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "ringctl dev up --dir DIR") {
		t.Errorf("no file: %v", err)
	}
	for _, tc := range []struct {
		name, json string
		want       appclient.Config
		fails      string
	}{
		{
			"plaintext", `{"insecure_plaintext":true,"servers":[{"c2s":"127.0.0.1:1","tls":"127.0.0.1:2"}],` + devAccounts + `}`,
			appclient.Config{Addrs: []string{"127.0.0.1:1"}, InsecurePlaintext: true},
			"",
		},
		{
			"two servers with STARTTLS", `{"servers":[{"c2s":"127.0.0.1:1"},{"c2s":"127.0.0.1:2"}],` + devAccounts + `}`,
			appclient.Config{Addrs: []string{"127.0.0.1:1", "127.0.0.1:2"}},
			"",
		},
		{
			"direct TLS only", `{"insecure_plaintext":true,"servers":[{"c2s":"","tls":"127.0.0.1:2"}],` + devAccounts + `}`,
			appclient.Config{Addrs: []string{"127.0.0.1:2"}, DirectTLS: true},
			"",
		},
		{"no server", `{"servers":[],` + devAccounts + `}`, appclient.Config{}, "no server"},
		{"no account", `{"servers":[{"c2s":"127.0.0.1:1"}]}`, appclient.Config{}, `no account "app"`},
		{"not JSON", `nodes: 3`, appclient.Config{}, "invalid character"},
		{"missing CA", `{"ca":"ca.pem","servers":[{"c2s":"127.0.0.1:1"}],` + devAccounts + `}`, appclient.Config{}, "CA certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "dev.json")
			if err := os.WriteFile(file, []byte(tc.json), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := appclient.FromDev(file)
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("%v, want it to say %q", err, tc.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if strings.Join(got.Addrs, " ") != strings.Join(tc.want.Addrs, " ") || got.DirectTLS != tc.want.DirectTLS ||
				got.InsecurePlaintext != tc.want.InsecurePlaintext || got.JID != "app@localhost" || got.Password != "pw" {
				t.Errorf("got %+v", got)
			}
		})
	}
	if _, err := appclient.FromDev(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "ringctl dev up") {
		t.Errorf("missing file: %v", err)
	}
}

func TestWrongPasswordEndsDialAtOnce(t *testing.T) {
	s, err := xmppconntest.Start(xmppconntest.Options{Accounts: map[string]string{"app": "right"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = appclient.Dial(ctx, appclient.Config{JID: "app@localhost", Password: "wrong", Addrs: []string{s.Addr()}, InsecurePlaintext: true})
	if !errors.Is(err, appclient.ErrDenied) || ctx.Err() != nil {
		t.Errorf("Dial: %v, want ErrDenied", err)
	}
}
