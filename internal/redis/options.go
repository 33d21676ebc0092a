package redis

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/roomcast/roomcast/internal/certificate"
)

// Adapters: how messages travel.
const (
	Classic = "classic"
	Sharded = "sharded"
	Streams = "streams"
)

// Options are where Redis is and how it is used.
type Options struct {
	// URL names one server: redis://user:password@host:port/db, rediss:// with
	// TLS, or unix://. What it says goes before the fields below.
	URL string
	// Addrs are host:port: of one server, of the Sentinels if Master is set,
	// or of nodes of a Redis Cluster.
	Addrs []string
	// Master is what the Sentinels call the server.
	Master string
	// Cluster says that the server is a Redis Cluster.
	Cluster                            bool
	Username, Password                 string
	SentinelUsername, SentinelPassword string
	DB                                 int
	TLS                                certificate.Client

	Adapter string // [Classic], [Sharded] or [Streams]
	Prefix  string // begins the names of channels
	Stream  Stream

	// Timeout is how long an answer may take before Redis counts as away.
	Timeout time.Duration
	// DialTimeout is how long a connection may take.
	DialTimeout time.Duration
	// MaxWait is the longest pause between attempts to connect.
	MaxWait time.Duration
	// QueueLength and QueueBytes bound what waits to be published, which is
	// what is kept while Redis is away. Beyond, the oldest is lost and counted.
	QueueLength int
	QueueBytes  int64
	Log         *slog.Logger
}

// Stream is where the adapter of that name keeps messages.
type Stream struct {
	Name   string
	MaxLen int64 // entries that are kept at least
	Count  int   // more than 1: Name-0, Name-1, … among which namespaces are divided
}

// universal returns the client's options.
func (o *Options) universal() (*goredis.UniversalOptions, error) {
	u := &goredis.UniversalOptions{
		Addrs: o.Addrs, MasterName: o.Master, IsClusterMode: o.Cluster,
		Username: o.Username, Password: o.Password, DB: o.DB,
		SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
	}
	var err error
	if u.TLSConfig, err = o.TLS.Config("redis.tls"); err != nil {
		return nil, err
	}
	if o.URL != "" {
		parsed, err := goredis.ParseURL(o.URL)
		if err != nil {
			return nil, errors.New("redis.url: is not redis://user:password@host:port/db") // the reason may show the password
		}
		u.Addrs, u.DB = []string{parsed.Addr}, parsed.DB
		if parsed.Username != "" || parsed.Password != "" {
			u.Username, u.Password = parsed.Username, parsed.Password
		}
		if u.TLSConfig == nil {
			u.TLSConfig = parsed.TLSConfig
		}
	}
	if len(u.Addrs) > 1 && u.MasterName == "" {
		u.IsClusterMode = true
	}
	// A command that is sent again by the client may be carried out twice, or
	// after the next one. Here it is known what may be repeated, and in which
	// order; see doc.go.
	u.MaxRetries, u.DialerRetries = -1, 1
	u.DialTimeout, u.ReadTimeout, u.WriteTimeout = o.DialTimeout, o.Timeout, o.Timeout
	u.ContextTimeoutEnabled = true
	u.Protocol = 2
	u.PipelinePoolSize = -1 // there is one pipeline at a time
	u.DisableIdentity = true
	u.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return u, nil
}

// quiet makes the client keep to itself what it also returns as errors.
var quiet = sync.OnceFunc(func() { goredis.SetLogger(silence{}) })

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}
