package app

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/asyncapi"
	"github.com/roomcast/roomcast/events"
)

const module = "github.com/roomcast/roomcast/"

// bans is the dependency rule: who may not know whom, and why. An entry holds
// for packages below from, unless they are below except.
var bans = []struct{ from, except, banned, why string }{
	{"", "internal/socketio", "github.com/zishang520/", "the Socket.IO library has one door"},
	{"", "namespaces", "github.com/segmentio/encoding", "one decoder is enough, where it is worth it"},
	{"", "internal/config", "github.com/spf13/viper", "viper has one door"},
	{"", "internal/redis", "github.com/redis/", "go-redis has one door"},
	{"", "internal/workflow/temporal", "go.temporal.io/", "Temporal has one door, which the lean binary leaves out"},
	{"", "internal/store/sqlite internal/datasource/sqlite", "modernc.org/", "each database has one door to what is ours and one to the data of others, which has other rights and limits"},
	{"", "internal/store/postgres internal/datasource/postgres", "github.com/jackc/", "each database has one door to what is ours and one to the data of others, which has other rights and limits"},
	{"", "internal/runview", "golang.org/x/sys", "what a terminal is has one door"},
	{"", "cmd", module + "internal/runview", "only people at terminals look at runs this way"},
	{"", "cmd", module + "internal/remote", "a server has no need of servers"},
	{"", "internal/remote internal/bench", module + "internal/link", "it is for clients"},
	{"", "internal/workflow/enginetest", module + "internal/workflow/enginetest", "it is for tests"},
	{"", "internal/workflow/sandbox", "github.com/fastschema/qjs", "scripts run in one place, within its limits"},
	{"", "internal/workflow/sandbox", "github.com/tetratelabs/", "scripts run in one place, within its limits"},
	{"internal/workflow/sandbox", "", module, "what runs code of strangers knows nothing of the server"},
	{"", "internal/workflow/expression", "github.com/expr-lang/", "the language of expressions has one door, and that has the bounds"},
	{"", "internal/app internal/redis test", module + "internal/redis$", "only the application chooses what carries messages between instances"},
	{"internal/redis", "", module + "internal/socketio", "what carries messages does not know who says them"},
	{"", "internal/store internal/datasource/sqlite", "database/sql", "services know stores, not databases"},
	{"", "internal/app", module + "internal/datasource$", "nodes declare what they ask of data sources"},
	{"internal/datasource", "", module + "internal/workflow", "data sources do not know who asks"},
	{"internal/outbound", "", module, "what carries requests does not know what they are for"},
	{"", "internal/app cmd internal/servertest", module + "internal/app", "nothing below the application knows it"},
	{"", "cmd internal/app internal/servertest", module + "internal/config", "packages take their own options, never the whole configuration"},
	{"", "internal/app internal/store internal/rest namespaces/root internal/workflow cmd", module + "internal/workflow$", "services do not know each other; adapters in app join them"},
	{"", "internal/app internal/telemetry cmd", module + "internal/workflow/journal", "only the application chooses what carries runs on"},
	{"", "internal/app internal/telemetry", module + "internal/workflow/temporal", "only the application chooses what carries runs on"},
	{"internal/workflow/interpreter", "", module + "internal/workflow$", "what follows from a log does not depend on who keeps it"},
	{"", "internal/app internal/store internal/telemetry namespaces/root internal/rest internal/chat", module + "internal/chat", "services do not know each other"},
	{"", "internal/app", module + "internal/chat/moderation", "only the application chooses who judges"},
	{"internal/chat/moderation", "", module, "what judges texts knows nothing of rooms and turns"},
	{"", "internal/chat/provider/openai", "github.com/sashabaranov/", "the protocol of language models has one door"},
	{"", "internal/app", module + "internal/chat/assistant/", "only the application chooses who answers"},
	{"internal/chat", "", module + "internal/logstream", "assistants declare what they look at"},
	{"internal/chat", "", module + "internal/workflow", "assistants declare what they look at"},
	{"internal/chat/provider", "", module + "internal/chat$", "what answers knows nothing of rooms and turns"},
	{"internal/chat/provider", "", module + "auth", "what answers knows users as hashes"},
	{"", "internal/app internal/chat/provider test", module + "internal/chat/provider/", "only the application chooses who answers"},
	{"", "internal/app internal/rest", module + "internal/workflow/external", "who reports does so over HTTP; others know runs, whatever carries them on"},
	{"", "internal/app internal/store internal/rest namespaces/root", module + "internal/bridge", "services do not know each other"},
	{"", "internal/app internal/store internal/rest namespaces/root", module + "internal/listener", "services do not know each other"},
	{"", "internal/app internal/store internal/rest internal/rawws namespaces/renewal cmd", module + "internal/identity", "services do not know each other"},
	{"", "internal/app internal/store internal/publish internal/telemetry namespaces/root", module + "internal/history", "services do not know each other; publishing is what the history does for others"},
	{"", "internal/app internal/rest", module + "internal/publish", "services do not know each other"},
	{"internal/once", "", module, "what happens once is not its business"},
	{"", "internal/app internal/store internal/telemetry", module + "internal/instances", "services do not know each other"},
	{"", "internal/app internal/telemetry", module + "internal/canary", "it tells who asks for the health of the server, and nobody else"},
	{"", "internal/app internal/store internal/rest internal/rawws internal/telemetry", module + "internal/meet", "services do not know each other"},
	{"", "internal/app internal/telemetry", module + "internal/peers", "services declare what they need of other instances"},
	{"", "internal/app", module + "namespaces/root", "transports get namespaces handed to them"},
	{"", "internal/app", module + "namespaces/monitor", "transports get namespaces handed to them"},
	{"", "internal/app internal/rawws internal/telemetry test", module + "internal/socketio", "a transport is at the top: only the application knows it, and who is a guest in its rooms"},
	{"", "internal/app", module + "internal/rawws", "a transport is at the top: only the application knows it"},
	{"", "test internal/redis/redistest internal/store/postgres/postgrestest internal/workflow/temporal/temporaltest internal/workflow/enginetest", module + "internal/eventually", "only tests wait by asking again"},
	{"internal/engineio", "", module + "internal/socketio", "the engine knows nothing of what its messages mean"},
	{"internal/websocket", "", module, "the WebSocket layer stands alone"},
	{"internal/every", "", module, "everybody may know it, so it knows nobody"},
	{"internal/waitgroup", "", module, "everybody may know it, so it knows nobody"},
	{"events", "", module, "what the server says depends on nothing"},
	{"auth", "", module + "internal", "identities are below everything"},
	{"namespaces", "namespaces/root namespaces/monitor", module + "internal/chat", "what a namespace is does not depend on what is in one"},
	{"namespaces", "namespaces/root namespaces/monitor", module + "internal/workflow", "what a namespace is does not depend on what is in one"},
}

// allowed is what a package may know although a ban covers it.
var allowed = []exception{
	{"internal/once", module + "internal/every"},                         // when it forgets is its business
	{"test/modelserver", module + "internal/chat/provider/providertest"}, // it is that package as a program
}

type exception struct{ pkg, path string }

func TestDependencyRule(t *testing.T) {
	for file, f := range sources(t, "../..", parser.ImportsOnly) {
		pkg := filepath.ToSlash(filepath.Dir(file))
		for _, spec := range f.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			for _, b := range bans {
				if below(pkg, b.from) && !(b.except != "" && belowAny(pkg, b.except)) && bannedBy(path, b.banned) && !slices.Contains(allowed, exception{pkg, path}) {
					t.Errorf("%s imports %s: %s", file, path, b.why)
				}
			}
		}
	}
}

func bannedBy(path, banned string) bool {
	if exact, ok := strings.CutSuffix(banned, "$"); ok {
		return path == exact
	}
	return strings.HasPrefix(path, banned)
}

func below(pkg, dir string) bool {
	return dir == "" || pkg == dir || strings.HasPrefix(pkg, dir+"/")
}

func belowAny(pkg, dirs string) bool {
	return slices.ContainsFunc(strings.Fields(dirs), func(d string) bool { return below(pkg, d) })
}

// sources parses the Go files of the module that are not tests.
func sources(t *testing.T, root string, mode parser.Mode) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "data") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, mode)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		files[rel] = f
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestCatalogueIsComplete finds what package events declares and forgot to
// list, and error codes that the document does not know.
func TestCatalogueIsComplete(t *testing.T) {
	listed := map[string]bool{}
	for _, payloads := range events.Catalogue() {
		for _, p := range payloads {
			listed[reflect.TypeOf(p).Name()] = true
		}
	}
	for _, f := range sources(t, "../../events", 0) {
		ast.Inspect(f, func(n ast.Node) bool {
			if fn, ok := n.(*ast.FuncDecl); ok && fn.Name.Name == "EventName" {
				if name := fn.Recv.List[0].Type.(*ast.Ident).Name; !listed[name] {
					t.Errorf("%s is not in the catalogue", name)
				}
			}
			return true
		})
	}
	doc, err := asyncapi.SocketEvents()
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, v := range anySlice(doc.Resolve(map[string]any{"$ref": "#/components/schemas/ErrorCode"})["enum"]) {
		documented = append(documented, v.(string))
	}
	slices.Sort(documented)
	if codes := codes(t); !slices.Equal(codes, documented) {
		t.Errorf("the program has the codes\n%v\nthe document\n%v", codes, documented)
	}
}
