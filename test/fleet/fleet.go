package fleet

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/auth"
)

// Options say what a fleet is.
type Options struct {
	Instances int // default 1
	// Redis is the URL of what joins the instances; "" for an instance alone.
	Redis string
	// Adapter is how: classic, sharded or streams, which is the default.
	Adapter string
	// Store is the URL of a PostgreSQL database; "" is SQLite, each instance
	// its own.
	Store string
	// Config is added to the configuration, top-level sections of YAML.
	Config string
}

// Tenant is whom clients and back ends of a fleet belong to.
const Tenant = "default"

// A Fleet is some instances of the server. They end with the test.
type Fleet struct {
	Instances []*Instance
	// Token admits clients, Key back ends.
	Token, Key string
}

// Start starts a fleet and waits until all of it is ready.
func Start(t testing.TB, o Options) *Fleet {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	key, prefix, sum := auth.NewAPIKey()
	f := &Fleet{Key: key}
	credentials := fmt.Sprintf(credentials, secret, prefix, sum, Tenant)
	for i := range max(o.Instances, 1) {
		dir := t.TempDir()
		in := &Instance{t: t, Name: fmt.Sprintf("instance %d", i+1), binary: binary, dir: dir, addr: freeAddr(t)}
		in.URL = "http://" + in.addr
		if err := os.WriteFile(in.config(), []byte(o.yaml(in.addr, dir)+credentials+o.Config), 0o600); err != nil {
			t.Fatal(err)
		}
		f.Instances = append(f.Instances, in)
		in.Start()
		t.Cleanup(in.Kill)
	}
	for _, in := range f.Instances {
		in.AwaitReady()
	}
	f.Token = f.NewToken("ada")
	return f
}

// NewToken returns a token that admits a user as a client.
func (f *Fleet) NewToken(user string) string {
	in := f.Instances[0]
	return in.run("token", "new", "--config", in.config(), "--user", user, "--tenant", Tenant, "--ttl", "2h")
}

const secret = "a secret of a fleet that lives for a test"

const credentials = `
auth:
  issuers: [{name: fleet, audience: roomcast, secret: %q}]
  apiKeys: [{name: back end, prefix: %q, sha256: %q, user: robot, tenant: %q, role: ADMIN}]
`

func (o Options) yaml(addr, dir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "server: {addr: [%q], data: %q}\n", addr, dir)
	if o.Store != "" {
		fmt.Fprintf(&b, "store: {driver: postgres, url: %q}\n", o.Store)
	}
	if o.Redis != "" {
		adapter := o.Adapter
		if adapter == "" {
			adapter = "streams"
		}
		fmt.Fprintf(&b, "redis: {url: %q, adapter: %s}\n", o.Redis, adapter)
	}
	return b.String()
}

// URLs returns where the instances are.
func (f *Fleet) URLs() (urls []string) {
	for _, in := range f.Instances {
		urls = append(urls, in.URL)
	}
	return urls
}

// PublishURLs returns where back ends publish.
func (f *Fleet) PublishURLs() (urls []string) {
	for _, in := range f.Instances {
		urls = append(urls, in.URL+"/api/v1/tenants/"+Tenant+"/publish")
	}
	return urls
}

// PIDs returns the processes of the instances.
func (f *Fleet) PIDs() (pids []int) {
	for _, in := range f.Instances {
		pids = append(pids, in.PID())
	}
	return pids
}

// build brings bin/roomcast up to date, once in the process of the tests.
var build = sync.OnceValues(func() (string, error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	binary := filepath.Join(strings.TrimSpace(string(root)), "bin", "roomcast")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/roomcast")
	cmd.Dir = strings.TrimSpace(string(root))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the server: %w: %s", err, out)
	}
	return binary, nil
})

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
