// Reads a configuration of Grafana Alloy with Alloy's own parser and evaluator, and prints as JSON
// what it says, then what its stages make of each line of standard input, from each source. .ci/go-tools builds it,
// test_loki.py runs it. Alloy itself is not to be had there: its components are declared below with
// the arguments that its documentation gives them, of those that ours use. What is not among them,
// has another type, or is missing where it must stand, is an error with its line, as in Alloy. The
// stages do what Alloy's do, with the same libraries for logfmt, templates and times.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/go-logfmt/logfmt"
	"github.com/grafana/alloy/syntax/ast"
	"github.com/grafana/alloy/syntax/parser"
	"github.com/grafana/alloy/syntax/printer"
	"github.com/grafana/alloy/syntax/vm"
)

type config struct {
	FileMatch []struct {
		Label       string              `alloy:",label"`
		PathTargets []map[string]string `alloy:"path_targets,attr"`
		SyncPeriod  string              `alloy:"sync_period,attr,optional"`
	} `alloy:"local.file_match,block,optional"`
	File []struct {
		Label       string   `alloy:",label"`
		Targets     string   `alloy:"targets,attr"`
		ForwardTo   []string `alloy:"forward_to,attr"`
		Encoding    string   `alloy:"encoding,attr,optional"`
		TailFromEnd bool     `alloy:"tail_from_end,attr,optional"`
	} `alloy:"loki.source.file,block,optional"`
	Journal []struct {
		Label        string            `alloy:",label"`
		ForwardTo    []string          `alloy:"forward_to,attr"`
		FormatAsJSON bool              `alloy:"format_as_json,attr,optional"`
		MaxAge       string            `alloy:"max_age,attr,optional"`
		Path         string            `alloy:"path,attr,optional"`
		Matches      string            `alloy:"matches,attr,optional"`
		Labels       map[string]string `alloy:"labels,attr,optional"`
	} `alloy:"loki.source.journal,block,optional"`
	Process []struct {
		Label     string   `alloy:",label"`
		ForwardTo []string `alloy:"forward_to,attr"`
		Stages    []stage  `alloy:"stage,enum,optional"`
	} `alloy:"loki.process,block,optional"`
	Write []struct {
		Label    string `alloy:",label"`
		Endpoint []struct {
			URL      string `alloy:"url,attr"`
			TenantID string `alloy:"tenant_id,attr,optional"`
		} `alloy:"endpoint,block,optional"`
		ExternalLabels map[string]string `alloy:"external_labels,attr,optional"`
	} `alloy:"loki.write,block,optional"`
}

// In the order in which they stand; one of them is set.
type stage struct {
	JSON *struct {
		Expressions   map[string]string `alloy:"expressions,attr" json:"expressions"`
		Source        *string           `alloy:"source,attr,optional" json:"source,omitempty"`
		DropMalformed bool              `alloy:"drop_malformed,attr,optional" json:"drop_malformed,omitempty"`
	} `alloy:"json,block,optional" json:"json,omitempty"`
	Logfmt *struct {
		Mapping map[string]string `alloy:"mapping,attr" json:"mapping"`
		Source  string            `alloy:"source,attr,optional" json:"source,omitempty"`
	} `alloy:"logfmt,block,optional" json:"logfmt,omitempty"`
	Template *struct {
		Source   string `alloy:"source,attr" json:"source"`
		Template string `alloy:"template,attr" json:"template"`
	} `alloy:"template,block,optional" json:"template,omitempty"`
	Timestamp *struct {
		Source          string   `alloy:"source,attr" json:"source"`
		Format          string   `alloy:"format,attr" json:"format"`
		FallbackFormats []string `alloy:"fallback_formats,attr,optional" json:"fallback_formats,omitempty"`
		Location        *string  `alloy:"location,attr,optional" json:"location,omitempty"`
		ActionOnFailure string   `alloy:"action_on_failure,attr,optional" json:"action_on_failure,omitempty"`
	} `alloy:"timestamp,block,optional" json:"timestamp,omitempty"`
	Labels *struct {
		Values     map[string]*string `alloy:"values,attr" json:"values"`
		SourceType string             `alloy:"source_type,attr,optional" json:"source_type,omitempty"`
	} `alloy:"labels,block,optional" json:"labels,omitempty"`
	StaticLabels *struct {
		Values map[string]*string `alloy:"values,attr" json:"values"`
	} `alloy:"static_labels,block,optional" json:"static_labels,omitempty"`
	StructuredMetadata *struct {
		Values map[string]*string `alloy:"values,attr,optional" json:"values"`
		Regex  string             `alloy:"regex,attr,optional" json:"regex,omitempty"`
	} `alloy:"structured_metadata,block,optional" json:"structured_metadata,omitempty"`
	LabelDrop *struct {
		Values []string `alloy:"values,attr" json:"values"`
	} `alloy:"label_drop,block,optional" json:"label_drop,omitempty"`
}

// What components export: by it others name them. Here each is its own name.
var exports = map[string]string{
	"local.file_match": "targets",
	"loki.process":     "receiver",
	"loki.write":       "receiver",
}

func scope(body ast.Body) *vm.Scope {
	variables := map[string]interface{}{}
	for _, statement := range body {
		block, is := statement.(*ast.BlockStmt)
		if !is {
			continue
		}
		name := strings.Join(block.Name, ".")
		export, has := exports[name]
		if !has {
			continue
		}
		at := variables
		for _, part := range append(append([]string{}, block.Name...), block.Label) {
			if at[part] == nil {
				at[part] = map[string]interface{}{}
			}
			at = at[part].(map[string]interface{})
		}
		at[export] = name + "." + block.Label + "." + export
	}
	return &vm.Scope{Variables: variables}
}

func read(path string) (*config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(path, text)
	if err != nil {
		return nil, err
	}
	made := &config{}
	if err := vm.New(file.Body).Evaluate(scope(file.Body), made); err != nil {
		return nil, err
	}
	var formatted bytes.Buffer
	if err := printer.Fprint(&formatted, file); err != nil {
		return nil, err
	}
	if strings.TrimSpace(formatted.String()) != strings.TrimSpace(string(text)) {
		return nil, errors.New("`alloy fmt` would have it so:\n" + formatted.String())
	}
	return made, nil
}

// What Loki is sent.
type entry struct {
	Labels   map[string]string `json:"labels"`
	Metadata map[string]string `json:"metadata"`
	Time     string            `json:"time"`
	Line     string            `json:"line"`
}

func process(stages []stage, labels map[string]string, line string) (entry, error) {
	made := entry{map[string]string{}, map[string]string{}, "", line}
	for name, value := range labels {
		made.Labels[name] = value
	}
	extracted := map[string]interface{}{}
	for _, one := range stages {
		switch {
		case one.JSON != nil:
			var fields map[string]interface{}
			if json.Unmarshal([]byte(line), &fields) != nil {
				continue
			}
			for name, from := range one.JSON.Expressions {
				extracted[name] = fields[or(from, name)]
			}
		case one.Logfmt != nil:
			to := map[string]string{}
			for name, from := range one.Logfmt.Mapping {
				to[or(from, name)] = name
			}
			decoder := logfmt.NewDecoder(strings.NewReader(line))
			for decoder.ScanRecord() {
				for decoder.ScanKeyval() {
					if name, wanted := to[string(decoder.Key())]; wanted {
						extracted[name] = string(decoder.Value())
					}
				}
			}
		case one.Template != nil:
			parsed, err := template.New("").Parse(one.Template.Template)
			if err != nil {
				return made, err
			}
			known := map[string]interface{}{"Entry": line}
			for name, value := range extracted {
				if text, err := asText(value); err == nil {
					known[name] = text
					if name == one.Template.Source {
						known["Value"] = text
					}
				}
			}
			var text bytes.Buffer
			if parsed.Execute(&text, known) != nil {
				continue
			}
			if text.Len() == 0 {
				delete(extracted, one.Template.Source)
			} else {
				extracted[one.Template.Source] = text.String()
			}
		case one.Timestamp != nil:
			if one.Timestamp.Format != "RFC3339Nano" {
				return made, errors.New("no format that is known here: " + one.Timestamp.Format)
			}
			text, _ := asText(extracted[one.Timestamp.Source])
			if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
				made.Time = at.UTC().Format(time.RFC3339Nano)
			}
		case one.Labels != nil:
			take(one.Labels.Values, extracted, made.Labels)
		case one.StaticLabels != nil:
			for name, value := range one.StaticLabels.Values {
				made.Labels[name] = *value
			}
		case one.StructuredMetadata != nil:
			take(one.StructuredMetadata.Values, extracted, made.Metadata)
		case one.LabelDrop != nil:
			for _, name := range one.LabelDrop.Values {
				delete(made.Labels, name)
			}
		}
	}
	return made, nil
}

func take(wanted map[string]*string, extracted map[string]interface{}, into map[string]string) {
	for name, from := range wanted {
		source := name
		if from != nil {
			source = or(*from, name)
		}
		if text, err := asText(extracted[source]); err == nil {
			into[name] = text
		}
	}
}

func asText(value interface{}) (string, error) {
	switch value := value.(type) {
	case string:
		return value, nil
	case bool:
		return strconv.FormatBool(value), nil
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64), nil
	}
	return "", errors.New("no text")
}

func or(first, second string) string {
	if first == "" {
		return second
	}
	return first
}

// The labels that a line has from each source.
func sources(made *config) []map[string]string {
	found := []map[string]string{}
	for range made.File {
		for _, target := range made.FileMatch[0].PathTargets {
			labels := map[string]string{"filename": target["__path__"]}
			for name, value := range target {
				if !strings.HasPrefix(name, "__") {
					labels[name] = value
				}
			}
			found = append(found, labels)
		}
	}
	for _, journal := range made.Journal {
		labels := map[string]string{}
		for name, value := range journal.Labels {
			labels[name] = value
		}
		// Whatever `labels` say.
		labels["job"] = "loki.source.journal." + journal.Label
		found = append(found, labels)
	}
	return found
}

func run(path string) error {
	made, err := read(path)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(made); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		sent := []entry{}
		for _, labels := range sources(made) {
			one, err := process(made.Process[0].Stages, labels, lines.Text())
			if err != nil {
				return err
			}
			sent = append(sent, one)
		}
		if err := out.Encode(sent); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
