package app

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/internal/workflow"
)

//go:embed samples/*.json
var samples embed.FS

// addSamples gives the tenant of development something to run, unless it has
// something.
func addSamples(ctx context.Context, s workflow.Store) error {
	have, err := s.Workflows(ctx, DevTenant)
	if err != nil || len(have) > 0 {
		return err
	}
	files, err := samples.ReadDir("samples")
	if err != nil {
		return err
	}
	for _, f := range files {
		raw, err := samples.ReadFile(path.Join("samples", f.Name()))
		if err != nil {
			return err
		}
		id := uuid.NewSHA1(uuid.NameSpaceURL, []byte("roomcast:"+f.Name())).String()
		w := workflow.Workflow{ID: id, Tenant: DevTenant, CreatedBy: "roomcast", CreatedAt: time.Now().UTC(), UpdatedAt: time.Now().UTC()}
		if err := json.Unmarshal(raw, &w); err != nil {
			return fmt.Errorf("sample %s: %w", f.Name(), err)
		}
		err = s.CreateWorkflow(ctx, w)
		if _, taken := s.Workflow(ctx, id); err != nil && taken != nil { // not by a server that starts at the same time
			return fmt.Errorf("sample %s: %w", f.Name(), err)
		}
	}
	return nil
}
