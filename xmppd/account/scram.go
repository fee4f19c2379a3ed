package account

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // SCRAM-SHA-1 is what many clients still speak
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash"

	"github.com/xdg-go/stringprep"
)

// DefaultIterations is the least that RFC 7677 section 4 allows for SCRAM-SHA-256. More protects a
// stolen file better and costs clients and PLAIN logins proportionally more CPU.
const DefaultIterations = 4096

const saltLen = 16

// Keys are the server's half of a SCRAM credential (RFC 5802 section 3). The password can't be
// computed from them, and they can't be used to log in.
type Keys struct {
	Salt       []byte `json:"salt"`
	Iterations int    `json:"iterations"`
	StoredKey  []byte `json:"stored_key"`
	ServerKey  []byte `json:"server_key"`
}

// Usable reports whether these are keys at all: an account whose password another system keeps has
// none here.
func (k *Keys) Usable() bool { return k.Iterations > 0 && len(k.StoredKey) > 0 }

// Derive makes the keys of a password for both mechanisms, with fresh salts.
// ErrInvalid if the password is empty or not acceptable to SASLprep (RFC 4013).
func Derive(password string, iterations int) (sha256Keys, sha1Keys Keys, err error) {
	prepared, err := preparePassword(password)
	if err != nil {
		return Keys{}, Keys{}, err
	}
	if iterations < DefaultIterations {
		iterations = DefaultIterations
	}
	if sha256Keys, err = derive(sha256.New, prepared, iterations); err != nil {
		return Keys{}, Keys{}, err
	}
	sha1Keys, err = derive(sha1.New, prepared, iterations)
	return sha256Keys, sha1Keys, err
}

func preparePassword(password string) (string, error) {
	prepared, err := stringprep.SASLprep.Prepare(password)
	if err != nil {
		return "", Invalid("password has characters that SASLprep forbids")
	}
	if prepared == "" {
		return "", Invalid("password is empty")
	}
	return prepared, nil
}

func derive(h func() hash.Hash, prepared string, iterations int) (Keys, error) {
	salt := make([]byte, saltLen)
	if _, err := rand.Read(salt); err != nil {
		return Keys{}, fmt.Errorf("make salt: %w", err)
	}
	return keysOf(h, prepared, salt, iterations)
}

func keysOf(h func() hash.Hash, prepared string, salt []byte, iterations int) (Keys, error) {
	salted, err := pbkdf2.Key(h, prepared, salt, iterations, h().Size())
	if err != nil {
		return Keys{}, fmt.Errorf("derive keys: %w", err)
	}
	stored := h()
	stored.Write(mac(h, salted, "Client Key"))
	return Keys{
		Salt:       salt,
		Iterations: iterations,
		StoredKey:  stored.Sum(nil),
		ServerKey:  mac(h, salted, "Server Key"),
	}, nil
}

func mac(h func() hash.Hash, key []byte, msg string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(msg))
	return m.Sum(nil)
}

// VerifyPassword checks a plain password against SCRAM-SHA-256 keys, in time that does not depend
// on how much of it is right.
func (k *Keys) VerifyPassword(password string) bool {
	prepared, err := preparePassword(password)
	if err != nil {
		return false
	}
	got, err := keysOf(sha256.New, prepared, k.Salt, k.Iterations)
	return err == nil && subtle.ConstantTimeCompare(got.StoredKey, k.StoredKey) == 1
}

// Decoy returns keys for a name that has no account. They look like those of an account (the salt
// is the same each time the name is tried) and no password fits them, so that a stranger can't
// tell which names exist.
func Decoy(secret []byte, name string) (sha256Keys, sha1Keys Keys) {
	seed := func(use string, n int) []byte {
		return mac(sha256.New, secret, use+"\x00"+name)[:n]
	}
	sha256Keys = Keys{
		Salt: seed("salt256", saltLen), Iterations: DefaultIterations,
		StoredKey: seed("stored256", sha256.Size), ServerKey: seed("server256", sha256.Size),
	}
	sha1Keys = Keys{
		Salt: seed("salt1", saltLen), Iterations: DefaultIterations,
		StoredKey: seed("stored1", sha1.Size), ServerKey: seed("server1", sha1.Size),
	}
	return sha256Keys, sha1Keys
}
