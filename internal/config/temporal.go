package config

import (
	"net"
	"strings"
	"time"
)

// Engines of runs.
const (
	EngineEmbedded = "embedded"
	EngineTemporal = "temporal"
)

// WorkflowTemporal is where Temporal is, if it executes the runs.
type WorkflowTemporal struct {
	Address    string        `mapstructure:"address" yaml:"address"`
	Namespace  string        `mapstructure:"namespace" yaml:"namespace"`
	TaskQueue  string        `mapstructure:"taskQueue" yaml:"taskQueue"`
	APIKey     Secret        `mapstructure:"apiKey" yaml:"apiKey"`
	APIKeyFile string        `mapstructure:"apiKeyFile" yaml:"apiKeyFile"`
	TLS        TemporalTLS   `mapstructure:"tls" yaml:"tls"`
	Timeout    time.Duration `mapstructure:"timeout" yaml:"timeout"`
}

// TemporalTLS is how connections to Temporal are secured.
type TemporalTLS struct {
	Enabled    bool   `mapstructure:"enabled" yaml:"enabled"`
	CA         string `mapstructure:"ca" yaml:"ca"`
	Cert       string `mapstructure:"cert" yaml:"cert"`
	Key        string `mapstructure:"key" yaml:"key"`
	ServerName string `mapstructure:"serverName" yaml:"serverName"`
}

func defaultTemporal() WorkflowTemporal {
	return WorkflowTemporal{Address: "127.0.0.1:7233", Namespace: "default", TaskQueue: "roomcast", Timeout: 5 * time.Second}
}

func (t WorkflowTemporal) check(add func(key, format string, args ...any)) {
	if _, _, err := net.SplitHostPort(t.Address); err != nil {
		add("workflow.temporal.address", "%q is not host:port", t.Address)
	}
	for key, name := range map[string]string{"workflow.temporal.namespace": t.Namespace, "workflow.temporal.taskQueue": t.TaskQueue} {
		if strings.TrimSpace(name) == "" {
			add(key, "is empty: name one")
		}
	}
	if t.Timeout <= 0 {
		add("workflow.temporal.timeout", "%v is not a positive duration", t.Timeout)
	}
	if (t.TLS.Cert == "") != (t.TLS.Key == "") {
		add("workflow.temporal.tls.cert", "cert and key go together")
	}
	if s := t.TLS; !s.Enabled && (s.CA != "" || s.Cert != "" || s.Key != "" || s.ServerName != "") {
		add("workflow.temporal.tls.enabled", "is false, but other settings of workflow.temporal.tls are given")
	}
	if t.APIKey != "" && !t.TLS.Enabled && !onThisMachine(t.Address) {
		add("workflow.temporal.apiKey", "would be sent in the clear: set workflow.temporal.tls.enabled")
	}
}

// onThisMachine reports whether an address cannot be that of another machine.
func onThisMachine(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// readFile reads what apiKeyFile names.
func (t *WorkflowTemporal) readFile() error {
	return readSecrets("workflow.temporal.", []secretFile{{"apiKey", t.APIKeyFile, &t.APIKey}})
}
