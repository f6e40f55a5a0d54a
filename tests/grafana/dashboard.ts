// A dashboard's JSON, as Grafana's published types have it; test_types.py has tsc compare them.
// Those leave open what panels, queries and overrides are; here each has what its kind offers.

import type * as grafana from '@grafana/schema';
import type * as barchart from '@grafana/schema/dist/esm/raw/composable/barchart/panelcfg/x/BarChartPanelCfg_types.gen';
import type * as bargauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as logs from '@grafana/schema/dist/esm/raw/composable/logs/panelcfg/x/LogsPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as statetimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as text from '@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type { PromQuery } from '@grafana/prometheus';

type Nothing = Record<string, never>;

/** Options and `fieldConfig.defaults.custom` of each kind of panel. */
interface Kinds {
  alertlist: { options: Record<string, unknown>; custom: Nothing }; // its types are not published
  barchart: { options: barchart.Options; custom: barchart.FieldConfig };
  bargauge: { options: bargauge.Options; custom: Nothing };
  logs: { options: logs.Options; custom: Nothing };
  heatmap: { options: heatmap.Options; custom: heatmap.FieldConfig };
  stat: { options: stat.Options; custom: Nothing };
  'state-timeline': { options: statetimeline.Options; custom: statetimeline.FieldConfig };
  table: { options: table.Options; custom: table.FieldConfig };
  text: { options: text.Options; custom: Nothing };
  timeseries: { options: timeseries.Options; custom: timeseries.FieldConfig };
}

/** A query of the Loki data source, whose types are not published: LokiDataQuery of Grafana's source. */
interface LokiQuery extends grafana.DataQuery {
  expr: string;
  legendFormat?: string;
  maxLines?: number;
  step?: string;
  editorMode?: 'code' | 'builder';
  queryType?: 'range' | 'instant' | 'stream';
  direction?: 'forward' | 'backward' | 'scan';
}

type Standard = Omit<grafana.FieldConfig, 'custom'>;

type Property<Custom> =
  | { [Id in keyof Standard]-?: { id: Id; value: Standard[Id] } }[keyof Standard]
  | { [Id in keyof Custom & string]-?: { id: `custom.${Id}`; value: Custom[Id] } }[keyof Custom & string];

type Panel = {
  [Kind in keyof Kinds]: Omit<grafana.Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
    type: Kind;
    options: Kinds[Kind]['options'];
    fieldConfig?: {
      defaults: Standard & { custom?: Kinds[Kind]['custom'] };
      overrides: Array<{ matcher: grafana.MatcherConfig; properties: Array<Property<Kinds[Kind]['custom']>> }>;
    };
    targets?: PromQuery[];
  };
}[keyof Kinds];

type Row = Omit<grafana.RowPanel, 'panels'> & { panels: Panel[] };

/** What the data source reads of an annotation beside its query: `annotations` of @grafana/prometheus. */
type Annotation = grafana.AnnotationQuery<PromQuery> & {
  titleFormat?: string;
  textFormat?: string;
  tagKeys?: string;
  useValueForTime?: boolean;
};

/**
 * As it is in JSON, which has no enums but what they stand for; and what is left out of options has
 * the panel's default.
 */
type Json<T> = 0 extends 1 & T
  ? T
  : T extends string
    ? `${T}`
    : T extends number
      ? `${T}` extends `${infer Value extends number}`
        ? Value
        : never
      : T extends Array<infer Each>
        ? Array<Json<Each>>
        : T extends object
          ? { [Key in keyof T]: Key extends 'options' | 'custom' ? Partly<Json<T[Key]>> : Json<T[Key]> }
          : T;

type Partly<T> = T extends Array<unknown> ? T : T extends object ? { [Key in keyof T]?: Partly<T[Key]> } : T;

export type Dashboard = Json<
  Omit<grafana.Dashboard, 'panels' | 'annotations'> & {
    panels: Array<Panel | Row>;
    annotations: { list: Annotation[] };
  }
>;

/** Around a panel's queries of Loki, so that each kind of query is held to its own type alone. */
export declare function ofLoki(queries: Array<Json<LokiQuery>>): Array<Json<PromQuery>>;
