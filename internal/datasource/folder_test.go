package datasource_test

import (
	"net/url"
	"os"
	"testing"
)

func makeFolder(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }
