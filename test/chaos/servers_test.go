package chaos

import "testing"

// TestOnHub: a server's configuration names the others' places at the hub.
func TestOnHub(t *testing.T) {
	const config = "[cluster]\nlisten = \"127.0.0.1:7002\"\nname = \"x2\"\nca = \"/c/ca.pem\"\njoin = [\"127.0.0.1:7001\", \"127.0.0.1:7003\", ]\n"
	const want = "[cluster]\nlisten = \"10.71.0.2:7002\"\nname = \"x2\"\nca = \"/c/ca.pem\"\njoin = [\"10.71.0.1:7001\", \"10.71.0.3:7003\", ]\n"
	if got := onHub(config, 1); got != want {
		t.Errorf("%s", got)
	}
}
