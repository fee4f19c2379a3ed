package xmppd

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/component"
	"github.com/rosterdb/rosterdb/xmppd/router"
)

// ComponentConfig is an external component (XEP-0114) that may connect.
type ComponentConfig struct {
	Name       string `toml:"name"`        // its domain
	SecretFile string `toml:"secret_file"` // its first line is the secret
	Secret     string `toml:"secret"`      // instead of a file
}

// ParseComponent reads NAME=SECRET.
func ParseComponent(s string) (ComponentConfig, error) {
	name, secret, ok := strings.Cut(s, "=")
	if !ok || name == "" || secret == "" {
		return ComponentConfig{}, errors.New("--component is NAME=SECRET, for instance --component gateway.example.net=s3cret")
	}
	return ComponentConfig{Name: name, Secret: secret}, nil
}

// secret reads the secret of a component.
func (c *ComponentConfig) secret() (string, error) {
	if c.SecretFile == "" {
		return c.Secret, nil
	}
	if c.Secret != "" {
		return "", errors.New("give secret or secret_file, not both")
	}
	text, err := os.ReadFile(c.SecretFile)
	if err != nil {
		return "", fmt.Errorf("secret_file: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimRight(line, "\r"), nil
}

// componentSecrets are the secrets of the configured components by their domains.
func (s *Server) componentSecrets() (map[string]string, error) {
	secrets := make(map[string]string)
	for _, c := range s.cfg.Components {
		j, err := stanza.ParseJID(c.Name)
		if err != nil || j.Local != "" || j.Resource != "" || j.Domain == s.cfg.Domain {
			return nil, fmt.Errorf("component %q: its name is a domain other than the server's", c.Name)
		}
		secret, err := c.secret()
		if err == nil && secret == "" {
			err = errors.New("it has no secret")
		}
		if err != nil {
			return nil, fmt.Errorf("component %q: %w", c.Name, err)
		}
		if _, twice := secrets[j.Domain]; twice {
			return nil, fmt.Errorf("component %q is configured twice", c.Name)
		}
		secrets[j.Domain] = secret
	}
	return secrets, nil
}

// newComponents makes the server of external components, if there is a listener for them.
func (s *Server) newComponents(r *router.Router) error {
	secrets, err := s.componentSecrets()
	if err != nil {
		return err
	}
	if s.cfg.ListenComponent == "" {
		if len(secrets) > 0 {
			s.log.Warn("components are configured, but nothing listens for them: give --listen-component")
		}
		return nil
	}
	if !loopback(s.cfg.ListenComponent) {
		s.log.Warn("components talk in the clear: let them connect over loopback or a tunnel", "listener", s.cfg.ListenComponent)
	}
	s.components = component.New(component.Config{
		Secrets: secrets, Router: r, MaxQueue: s.cfg.Limits.GroupQueueBytes,
		Limits: stanza.Limits{MaxStanza: s.cfg.Limits.StanzaBytes, MaxDepth: s.cfg.Limits.Depth},
		Log:    s.log, Registerer: s.registry,
	})
	if s.exchange != nil {
		s.exchange.OnConflict(s.components.Conflict)
	}
	return nil
}
