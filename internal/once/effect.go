package once

import (
	"context"

	"github.com/google/uuid"
)

type claimKey struct{}

func fromContext(ctx context.Context) (Claim, bool) {
	claim, ok := ctx.Value(claimKey{}).(Claim)
	return claim, ok
}

// Seeded returns the context of something that happens once because somebody
// else than a [Service] sees to it. Seed, a UUID, is what ids are derived from;
// again tells that it may have happened before.
func Seeded(ctx context.Context, seed string, again bool) context.Context {
	return context.WithValue(ctx, claimKey{}, Claim{Mine: true, Again: again, Seed: seed})
}

// ID returns the id of what a request makes: a UUID that is the same whenever
// the request is taken up again, or a new one if ctx is of none that is to
// happen once. New ones begin with the time: rows that are made together lie
// together, and are written together. A request makes at most one thing of a
// kind.
func ID(ctx context.Context, kind string) string {
	if key := Key(ctx, kind); key != "" {
		return key
	}
	return uuid.Must(uuid.NewV7()).String()
}

// Key is [ID], but "" if ctx is of no request that is to happen once.
func Key(ctx context.Context, kind string) string {
	claim, ok := fromContext(ctx)
	if !ok {
		return ""
	}
	seed, err := uuid.Parse(claim.Seed)
	if err != nil {
		return "" // Claim makes UUIDs
	}
	return uuid.NewSHA1(seed, []byte(kind)).String()
}

// Again reports whether what the request of ctx makes may be there already.
func Again(ctx context.Context) bool {
	claim, _ := fromContext(ctx)
	return claim.Again
}
