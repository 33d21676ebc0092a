package config

import "time"

// Workflow is how runs are executed.
type Workflow struct {
	Parallel          int              `mapstructure:"parallel" yaml:"parallel"`
	ParallelPerTenant int              `mapstructure:"parallelPerTenant" yaml:"parallelPerTenant"`
	RunsPerTenant     int              `mapstructure:"runsPerTenant" yaml:"runsPerTenant"`
	MaxDuration       time.Duration    `mapstructure:"maxDuration" yaml:"maxDuration"`
	MaxResult         Size             `mapstructure:"maxResult" yaml:"maxResult"`
	MaxVariables      Size             `mapstructure:"maxVariables" yaml:"maxVariables"`
	MaxEntries        int              `mapstructure:"maxEntries" yaml:"maxEntries"`
	ContextLimit      Size             `mapstructure:"contextLimit" yaml:"contextLimit"`
	HTTP              WorkflowHTTP     `mapstructure:"http" yaml:"http"`
	JavaScript        JavaScript       `mapstructure:"javascript" yaml:"javascript"`
	Engine            string           `mapstructure:"engine" yaml:"engine"`
	Temporal          WorkflowTemporal `mapstructure:"temporal" yaml:"temporal"`
}

// WorkflowHTTP is what http nodes may do.
type WorkflowHTTP struct {
	AllowPrivate bool          `mapstructure:"allowPrivate" yaml:"allowPrivate"`
	MaxBody      Size          `mapstructure:"maxBody" yaml:"maxBody"`
	MaxTimeout   time.Duration `mapstructure:"maxTimeout" yaml:"maxTimeout"`
}

// JavaScript is what scripts of workflows may use.
type JavaScript struct {
	MaxTime   time.Duration `mapstructure:"maxTime" yaml:"maxTime"`
	MaxMemory Size          `mapstructure:"maxMemory" yaml:"maxMemory"`
	Parallel  int           `mapstructure:"parallel" yaml:"parallel"`
}

func defaultWorkflow() Workflow {
	return Workflow{
		Parallel: 64, ParallelPerTenant: 16, RunsPerTenant: 10_000, MaxResult: 4 << 20, MaxVariables: 64 << 20, MaxEntries: 1_000_000, ContextLimit: 64 << 10,
		HTTP:       WorkflowHTTP{MaxBody: 1 << 20, MaxTimeout: 2 * time.Minute},
		JavaScript: JavaScript{MaxTime: 30 * time.Second, MaxMemory: 64 << 20, Parallel: 4},
		Engine:     EngineEmbedded, Temporal: defaultTemporal(),
	}
}

// check reports what is wrong with the section.
func (w Workflow) check(add func(key, format string, args ...any)) {
	if w.MaxDuration < 0 {
		add("workflow.maxDuration", "%v is negative: 0s is no limit", w.MaxDuration)
	}
	for key, n := range map[string]int64{
		"workflow.parallel": int64(w.Parallel), "workflow.parallelPerTenant": int64(w.ParallelPerTenant), "workflow.maxResult": int64(w.MaxResult), "workflow.maxVariables": int64(w.MaxVariables), "workflow.maxEntries": int64(w.MaxEntries),
		"workflow.http.maxBody":        int64(w.HTTP.MaxBody),
		"workflow.javascript.parallel": int64(w.JavaScript.Parallel),
	} {
		if n <= 0 {
			add(key, "%d is not a positive number", n)
		}
	}
	if w.ContextLimit < 0 {
		add("workflow.contextLimit", "%d is negative: 0 lets no event carry variables", w.ContextLimit)
	}
	if d := w.JavaScript.MaxTime; d < time.Second {
		add("workflow.javascript.maxTime", "%v is less than 1s", d)
	}
	if m := w.JavaScript.MaxMemory; m < 8<<20 || m > 1<<30 {
		add("workflow.javascript.maxMemory", "%d is not between 8MiB, which a script needs at least, and 1GiB", m)
	}
	if w.RunsPerTenant < 0 {
		add("workflow.runsPerTenant", "%d is negative: 0 is no limit", w.RunsPerTenant)
	}
	w.Temporal.check(add)
}
