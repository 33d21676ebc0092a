package accounts

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"github.com/roomcast/roomcast/events"
)

// rounds make a guess at the checksum of an account cost some hundredths of a
// second to somebody who has the database and not the secret.
const rounds = 100_000

// maxHashing is how many wait for a hash to be made before others are refused.
const maxHashing = 64

// checksums are kept in two ways: a hash under a key that is not in the
// database finds the account without trying all, and a slow, salted one, which
// says nothing about other accounts, shows that it is right.
type checksums struct {
	key    []byte
	slots  chan struct{} // who hashes
	queued chan struct{} // who hashes or waits for it
}

func newChecksums(key []byte) checksums {
	return checksums{key: key, slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), queued: make(chan struct{}, maxHashing)}
}

// derive makes a key for one purpose.
func derive(secret []byte, purpose string) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("roomcast action " + purpose))
	return m.Sum(nil)
}

// lookup is the hash that finds an account.
func (c checksums) lookup(checksum string) string {
	m := hmac.New(sha256.New, c.key)
	m.Write([]byte(checksum))
	return hex.EncodeToString(m.Sum(nil))
}

// hash makes the slow hash of a new account: its way, rounds, salt and sum.
func (c checksums) hash(ctx context.Context, checksum string) (string, error) {
	var salt [16]byte
	rand.Read(salt[:])
	sum, err := c.slow(ctx, checksum, salt[:], rounds)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("pbkdf2-sha256$%d$%x$%x", rounds, salt, sum), nil
}

// match reports whether a checksum is the one of a hash.
func (c checksums) match(ctx context.Context, checksum, hash string) (bool, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 4 || parts[0] != "pbkdf2-sha256" {
		return false, fmt.Errorf("the hash of a checksum is of an unknown kind")
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return false, fmt.Errorf("the hash of a checksum: %w", err)
	}
	salt, err := hex.DecodeString(parts[2])
	if err != nil {
		return false, fmt.Errorf("the hash of a checksum: %w", err)
	}
	sum, err := c.slow(ctx, checksum, salt, n)
	return err == nil && subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum)), []byte(parts[3])) == 1, err
}

// slow hashes on half of the processors at most, so that who connects does not
// take the server from others.
func (c checksums) slow(ctx context.Context, checksum string, salt []byte, n int) ([]byte, error) {
	select {
	case c.queued <- struct{}{}:
		defer func() { <-c.queued }()
	default:
		return nil, events.Errorf(events.CodeRateLimited, "too many connect at once: try again in a moment")
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return pbkdf2.Key(sha256.New, checksum, salt, n, sha256.Size)
}
