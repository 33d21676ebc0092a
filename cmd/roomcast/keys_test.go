package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/app"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
)

// in runs the program in a folder.
func in(t *testing.T, folder, input string, args ...string) (string, error) {
	t.Helper()
	t.Chdir(folder)
	var out bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(input))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestKeysCommands(t *testing.T) {
	folder := t.TempDir()
	out, err := in(t, folder, "", "keys", "create", "--name", "ci", "--user", "robot", "--tenant", "acme", "--role", "admin")
	secret, _, _ := strings.Cut(out, "\n")
	if err != nil || len(secret) != 64 || !strings.Contains(out, "is not shown again") {
		t.Fatalf("%v %s", err, out)
	}
	out, err = in(t, folder, "", "keys", "list", "--tenant", "acme", "--json")
	var list struct {
		APIKeys []struct{ KeyID, Prefix, Role string }
	}
	if json.Unmarshal([]byte(out), &list); err != nil || len(list.APIKeys) != 1 || list.APIKeys[0].Prefix != secret[:8] || list.APIKeys[0].Role != "ADMIN" {
		t.Fatalf("%v %s", err, out)
	}
	if raw, _ := os.ReadFile(filepath.Join(folder, "data", "roomcast.db")); bytes.Contains(raw, []byte(secret)) {
		t.Error("the key is in the database")
	}
	if out, err = in(t, folder, "", "keys", "disable", list.APIKeys[0].KeyID); err != nil || !strings.Contains(out, "ci (") {
		t.Errorf("%v %s", err, out)
	}
	if out, _ = in(t, folder, "", "keys", "list", "--tenant", "acme"); strings.Contains(out, "Z  -") || !strings.Contains(out, "DISABLED") {
		t.Errorf("not disabled: %s", out)
	}
	for want, args := range map[string][]string{
		"API key x not found":             {"disable", "x"},
		"accepts 1 arg":                   {"disable"},
		`required flag(s) "name", "user"`: {"create"},
		`role: "BOSS" is not one of`:      {"create", "--name", "n", "--user", "u", "--role", "boss"},
		`did you mean "create"?`:          {"creat"},
	} {
		if _, err := in(t, folder, "", append([]string{"keys"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

// The verbs that open the database open the one that the server has.
func TestKeysInPostgres(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("ROOMCAST_STORE_DRIVER", "postgres")
	t.Setenv("ROOMCAST_STORE_URL", postgrestest.URL(t))
	if out, err := in(t, folder, "", "keys", "create", "--name", "ci", "--user", "robot"); err != nil {
		t.Fatal(err, out)
	}
	if out, err := in(t, folder, "", "keys", "list"); err != nil || !strings.Contains(out, "robot") {
		t.Error(err, out)
	}
	if _, err := os.Stat(filepath.Join(folder, "data")); err == nil {
		t.Error("a data folder was made")
	}
	for url, want := range map[string]string{"": "store.url: is missing", "rubbish": "store.url: is not postgres://"} {
		t.Setenv("ROOMCAST_STORE_URL", url)
		if _, err := in(t, folder, "", "keys", "list"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", url, err)
		}
	}
	t.Setenv("ROOMCAST_STORE_DRIVER", "oracle")
	if _, err := in(t, folder, "", "keys", "list"); err == nil || !strings.Contains(err.Error(), "store.driver") {
		t.Error(err)
	}
}

// A key is enough to start a server with: the first gets in without an issuer.
func TestServeWithAKeyAlone(t *testing.T) {
	folder := t.TempDir()
	c := config.Default()
	c.Server.Addr, c.Server.Data = []string{"127.0.0.1:0"}, filepath.Join(folder, "data")
	start := func() error {
		a, err := app.New(t.Context(), app.Options{Config: c, Log: io.Discard})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return a.Run(ctx)
	}
	if err := start(); err == nil || !strings.Contains(err.Error(), "nobody could sign in") {
		t.Errorf("without a key: %v", err)
	}
	if out, err := in(t, folder, "", "keys", "create", "--name", "first", "--user", "root"); err != nil {
		t.Fatal(out, err)
	}
	if err := start(); err != nil {
		t.Errorf("with a key: %v", err)
	}
}

func TestTokenInspect(t *testing.T) {
	folder := t.TempDir()
	if _, err := app.DevIssuer(filepath.Join(folder, "data")); err != nil {
		t.Fatal(err)
	}
	token, err := in(t, folder, "", "token", "new", "--user", "ada", "--role", "admin", "--operator")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(strings.TrimSpace(token), ".")
	for _, tt := range []struct {
		input string
		args  []string
		want  []string
		fails bool
	}{
		{token, nil, []string{`"sub": "ada"`, `"alg": "HS256"`, "accepted: ada, until", "ADMIN in default", "operates the server"}, false},
		{"", []string{"Bearer " + strings.TrimSpace(token)}, []string{"accepted: ada"}, false},
		{parts[0] + "." + parts[1] + ".c2ln", nil, []string{`"sub": "ada"`, "refused: USER_AUTH_TOKEN_SIGNATURE"}, true},
	} {
		out, err := in(t, folder, tt.input, append([]string{"token", "inspect"}, tt.args...)...)
		if (err != nil) != tt.fails {
			t.Errorf("%v: %s", err, out)
		}
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%q is missing in\n%s", want, out)
			}
		}
		if strings.Contains(out, parts[2]) {
			t.Error("the signature was printed")
		}
	}
	if _, err := in(t, folder, "rubbish", "token", "inspect"); err == nil || !strings.Contains(err.Error(), "this is not a token") {
		t.Error(err)
	}
}
