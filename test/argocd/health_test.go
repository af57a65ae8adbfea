// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package argocd runs the health scripts that are shipped for Argo CD, in the interpreter
// that Argo CD runs them in, with the libraries that it gives them.
package argocd

import (
	"os"
	"testing"

	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const configMap = "../../config/argocd/argocd-cm.yaml"

// ready and the others are conditions, as YAML.
const (
	ready       = `{type: Ready, status: "True", reason: Ready, message: It works.}`
	suspended   = `{type: Ready, status: "True", reason: Suspended, message: spec.suspend is true.}`
	unready     = `{type: Ready, status: "False", reason: Any, message: It does not.}`
	serving     = `{type: Serving, status: "False", reason: Suspended, message: ""}`
	reconciling = `{type: Reconciling, status: "True", reason: Any, message: It goes on by itself.}`
	stalled     = `{type: Stalled, status: "True", reason: Any, message: Somebody has to do something.}`
	unstalled   = `{type: Stalled, status: "False", reason: Any, message: ""}`
)

func TestHealth(t *testing.T) {
	for name, c := range map[string]struct{ object, status, message string }{
		"without a status":             {`{metadata: {generation: 1}}`, "Progressing", "Waiting for the manager to observe the change."},
		"observed, without conditions": {`{metadata: {generation: 1}, status: {observedGeneration: 1}}`, "Progressing", "Waiting for the manager."},
		"of an earlier generation":     {`{metadata: {generation: 2}, status: {observedGeneration: 1, conditions: [` + ready + `]}}`, "Progressing", "Waiting for the manager to observe the change."},
		"ready":                        {observed(ready), "Healthy", "It works."},
		"suspended on purpose":         {observed(suspended, serving), "Healthy", "spec.suspend is true."},
		"ready, and not stalled":       {observed(unstalled, ready), "Healthy", "It works."},
		"reconciling":                  {observed(unready, reconciling), "Progressing", "It goes on by itself."},
		"ready and reconciling":        {observed(ready, reconciling), "Progressing", "It goes on by itself."},
		"not ready":                    {observed(unready), "Progressing", "It does not."},
		"stalled":                      {observed(unready, stalled), "Degraded", "Somebody has to do something."},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, script := range scripts(t) {
				status, message := run(t, script, c.object)
				if status != c.status || message != c.message {
					t.Errorf("%s is %s: %q, want %s: %q", kind, status, message, c.status, c.message)
				}
			}
		})
	}
}

// observed is an object of which the manager has observed the present generation.
func observed(conditions ...string) string {
	object := "metadata: {generation: 3}\nstatus:\n  observedGeneration: 3\n  conditions:\n"
	for _, condition := range conditions {
		object += "  - " + condition + "\n"
	}
	return object
}

// scripts are those of each kind.
func scripts(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(configMap)
	if err != nil {
		t.Fatal(err)
	}
	cm := &corev1.ConfigMap{}
	if err := yaml.UnmarshalStrict(text, cm); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, kind := range []string{"APIKey", "Organization"} {
		script, ok := cm.Data["resource.customizations.health.auth.hexcovery.io_"+kind]
		if !ok {
			t.Fatalf("there is no script for %s", kind)
		}
		found[kind] = script
	}
	if cm.Name != "argocd-cm" || cm.Labels["app.kubernetes.io/part-of"] != "argocd" || len(cm.Data) != len(found) {
		t.Fatalf("Argo CD does not read %s", configMap)
	}
	return found
}

// run runs a script for an object.
func run(t *testing.T, script, object string) (status, message string) {
	t.Helper()
	fields := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(object), &fields); err != nil {
		t.Fatal(err)
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		state.Push(state.NewFunction(open))
		state.Push(lua.LString(name))
		state.Call(1, 0)
	}
	state.SetGlobal("obj", value(state, fields))
	if err := state.DoString(script); err != nil {
		t.Fatal(err)
	}
	result, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the script returns %s", state.Get(-1).Type())
	}
	return result.RawGetString("status").String(), result.RawGetString("message").String()
}

// value is what a script sees of a value of an object.
func value(state *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case string:
		return lua.LString(v)
	case float64:
		return lua.LNumber(v)
	case []any:
		list := state.NewTable()
		for _, item := range v {
			list.Append(value(state, item))
		}
		return list
	case map[string]any:
		table := state.NewTable()
		for name, item := range v {
			table.RawSetString(name, value(state, item))
		}
		return table
	}
	return lua.LNil
}
