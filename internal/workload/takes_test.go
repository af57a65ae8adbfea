// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func TestWhatTakesASecretAtItsStart(t *testing.T) {
	for name, test := range map[string]struct {
		spec string
		want bool
	}{
		"nothing": {`containers: [{name: c}]`, false},
		"env":     {`containers: [{name: c, env: [{name: K, valueFrom: {secretKeyRef: {name: hexcovery, key: api-key}}}]}]`, true},
		"env of the second container": {
			`containers: [{name: a}, {name: b, env: [{name: K, valueFrom: {secretKeyRef: {name: hexcovery, key: api-key}}}]}]`, true},
		"env of an init container": {
			`initContainers: [{name: i, restartPolicy: Always, env: [{name: K, valueFrom: {secretKeyRef: {name: hexcovery, key: api-key}}}]}]`, true},
		"env of another Secret": {`containers: [{name: c, env: [{name: K, valueFrom: {secretKeyRef: {name: other, key: api-key}}}]}]`, false},
		"env of a ConfigMap of that name": {
			`containers: [{name: c, env: [{name: K, valueFrom: {configMapKeyRef: {name: hexcovery, key: api-key}}}, {name: V, value: hexcovery}]}]`, false},
		"envFrom":                                {`containers: [{name: c, envFrom: [{secretRef: {name: hexcovery}}]}]`, true},
		"envFrom of another Secret":              {`containers: [{name: c, envFrom: [{secretRef: {name: other}}]}]`, false},
		"envFrom of a ConfigMap of that name":    {`containers: [{name: c, envFrom: [{configMapRef: {name: hexcovery}}]}]`, false},
		"a volume that nothing mounts":           {`{volumes: [{name: v, secret: {secretName: hexcovery}}], containers: [{name: c}]}`, false},
		"a mount, which the kubelet renews":      {`{volumes: [{name: v, secret: {secretName: hexcovery}}], containers: [{name: c, volumeMounts: [{name: v, mountPath: /k}]}]}`, false},
		"a mount with subPath":                   {`{volumes: [{name: v, secret: {secretName: hexcovery}}], containers: [{name: c, volumeMounts: [{name: v, mountPath: /k, subPath: api-key}]}]}`, true},
		"a mount with subPathExpr":               {`{volumes: [{name: v, secret: {secretName: hexcovery}}], containers: [{name: c, volumeMounts: [{name: v, mountPath: /k, subPathExpr: $(F)}]}]}`, true},
		"a mount with subPath of another":        {`{volumes: [{name: v, secret: {secretName: other}}, {name: w, secret: {secretName: hexcovery}}], containers: [{name: c, volumeMounts: [{name: v, mountPath: /k, subPath: api-key}]}]}`, false},
		"a mount with subPath of a ConfigMap":    {`{volumes: [{name: v, configMap: {name: hexcovery}}], containers: [{name: c, volumeMounts: [{name: v, mountPath: /k, subPath: api-key}]}]}`, false},
		"a projected volume":                     {`{volumes: [{name: v, projected: {sources: [{secret: {name: hexcovery}}]}}], containers: [{name: c, volumeMounts: [{name: v, mountPath: /k}]}]}`, false},
		"a projected volume with subPath":        {`{volumes: [{name: v, projected: {sources: [{configMap: {name: x}}, {secret: {name: hexcovery}}]}}], containers: [{name: c, volumeMounts: [{name: v, mountPath: /k, subPath: api-key}]}]}`, true},
		"another projected with subPath":         {`{volumes: [{name: v, projected: {sources: [{configMap: {name: hexcovery}}, {secret: {name: other}}]}}], containers: [{name: c, volumeMounts: [{name: v, mountPath: /k, subPath: api-key}]}]}`, false},
		"an init container's mount with subPath": {`{volumes: [{name: v, secret: {secretName: hexcovery}}], initContainers: [{name: c, volumeMounts: [{name: v, mountPath: /k, subPath: api-key}]}]}`, true},
		"a Secret to pull images with":           {`{imagePullSecrets: [{name: hexcovery}], containers: [{name: c}]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			template := &corev1.PodTemplateSpec{}
			if err := yaml.UnmarshalStrict([]byte(test.spec), &template.Spec); err != nil {
				t.Fatal(err)
			}
			if got := TakesAtStart(template, "hexcovery"); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestTemplate(t *testing.T) {
	deployment, statefulSet, daemonSet := &appsv1.Deployment{}, &appsv1.StatefulSet{}, &appsv1.DaemonSet{}
	if Template(deployment) != &deployment.Spec.Template || Template(statefulSet) != &statefulSet.Spec.Template || Template(daemonSet) != &daemonSet.Spec.Template {
		t.Error("a template is not the workload's own")
	}
	if Template(&batchv1.CronJob{}) != nil {
		t.Error("a CronJob has a template that restarts")
	}
}
