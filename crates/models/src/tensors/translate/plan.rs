//! Which tensors the new file has, and from which rows of the old one each is put together.

use ops::rope::Layout;

use super::strip::{Finish, Strip, View};
use super::{Translated, translated};
use crate::blocks::{Biases, PositionsKind};
use crate::config::Scaling;
use crate::family::{ExpertTensors, FusedHeads, Matrices, bias_of, of_layer};
use crate::tensors::{Tensors, has_blocks};
use crate::{Config, Dialect, Error, Names};

/// A matrix of a layer, whatever files call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matrix {
    Queries,
    Keys,
    Values,
    Output,
    Gate,
    Up,
    Down,
    Router,
    ExpertGate(usize),
    ExpertUp(usize),
    ExpertDown(usize),
}

/// Where a matrix stands in a file: all rows of a tensor that are its own, in order.
pub(crate) struct Spot {
    pub tensor: String,
    view: View,
    pub rows: Vec<usize>,
    /// Rows of the whole tensor.
    pub n_rows: usize,
    /// Its columns.
    pub n_columns: usize,
}

impl Spot {
    /// Whether the tensor has a row for each input.
    pub fn is_turned(&self) -> bool {
        matches!(self.view, View::Turned(_))
    }
}

/// A plan that grows.
pub(super) struct Plan<'a> {
    tensors: &'a dyn Tensors,
    config: &'a Config,
    from: &'static Dialect,
    to: &'static Dialect,
    list: Vec<Translated<'a>>,
}

impl<'a> Plan<'a> {
    pub fn new(
        tensors: &'a dyn Tensors,
        config: &'a Config,
        [from, to]: [&'static Dialect; 2],
    ) -> Result<Self, Error> {
        Ok(Self { tensors, config, from, to, list: Vec::new() })
    }

    pub fn all(mut self) -> Result<Vec<Translated<'a>>, Error> {
        let config = self.config;
        self.table(|names| names.embedding, [config.vocabulary, config.width])?;
        if config.blocks.positions == PositionsKind::Learned {
            self.positions()?;
        }
        self.token_types()?;
        self.norm(|names| names.embedding_norm, 0, config.width)?;
        self.divisors()?;
        for layer in 0..config.n_layers {
            self.layer(layer)?;
        }
        self.norm(|names| names.norm, 0, config.width)?;
        if self.has(self.from.names.head)? {
            self.table(|names| names.head, [config.vocabulary, config.width])?;
        }
        self.classifier()?;
        Ok(self.list)
    }

    /// The head that classifies, where both dialects have it and the file too. What goes before it is part of it only
    /// then: other encoders bring such a layer and do not use it.
    fn classifier(&mut self) -> Result<(), Error> {
        if !self.has(self.from.names.classifier)? || self.to.names.classifier.is_empty() {
            return Ok(());
        }
        self.part_of_classifier(|names| names.classifier_dense)?;
        self.part_of_classifier(|names| names.classifier)
    }

    fn part_of_classifier(&mut self, name: fn(&Names) -> &'static str) -> Result<(), Error> {
        let (old, new) = (name(self.from.names), name(self.to.names));
        self.optional(name, 0)?;
        let bias = bias_of(old);
        if self.has(&bias)? {
            let old = self.old_name(&bias)?;
            let n_rows = self.tensors.find(&old)?.map_or(0, |found| found.shape.iter().product());
            let strip = Strip::whole(old, View::Rows([n_rows, 1]));
            self.push(&bias_of(new), vec![n_rows], (vec![strip], Finish::None))?;
        }
        Ok(())
    }

    fn layer(&mut self, layer: usize) -> Result<(), Error> {
        use Matrix as M;
        let (width, size) = (self.config.width, self.config.head_size);
        self.norm(|names| names.attention_norm, layer, width)?;
        match (self.to.names.queries_keys_values, self.to.fused_heads) {
            ("", _) => {
                self.matrix(self.to.names.queries, layer, &[M::Queries])?;
                self.matrix(self.to.names.keys, layer, &[M::Keys])?;
                self.matrix(self.to.names.values, layer, &[M::Values])?;
            }
            (whole, FusedHeads::ByKind) => self.matrix(whole, layer, &[M::Queries, M::Keys, M::Values])?,
            (whole, FusedHeads::ByHead) => self.by_head(whole, layer)?,
        }
        self.norm(|names| names.query_norm, layer, size)?;
        self.norm(|names| names.key_norm, layer, size)?;
        self.optional(|names| names.sinks, layer)?;
        self.matrix(self.to.names.attention_output, layer, &[M::Output])?;
        self.norm(|names| names.attention_post_norm, layer, width)?;
        self.norm(|names| names.feed_forward_norm, layer, width)?;
        match self.config.experts {
            Some(_) => self.experts(layer)?,
            None if self.config.blocks.feed_forward.is_gated() && !self.to.names.gate_up.is_empty() => {
                self.matrix(self.to.names.gate_up, layer, &[M::Gate, M::Up])?;
                self.matrix(self.to.names.down, layer, &[M::Down])?;
            }
            None => {
                if self.config.blocks.feed_forward.is_gated() {
                    self.matrix(self.to.names.gate, layer, &[M::Gate])?;
                }
                self.matrix(self.to.names.up, layer, &[M::Up])?;
                self.matrix(self.to.names.down, layer, &[M::Down])?;
            }
        }
        self.norm(|names| names.feed_forward_post_norm, layer, width)
    }

    /// The tensors that choose experts, and theirs.
    fn experts(&mut self, layer: usize) -> Result<(), Error> {
        use Matrix as M;
        let n = self.config.experts.map_or(0, |sizes| sizes.n_experts);
        let names = self.to.names;
        self.matrix(names.router, layer, &[M::Router])?;
        match self.to.experts {
            ExpertTensors::Alone => {
                for expert in 0..n {
                    let name = |name: &str| name.replace("{e}", &expert.to_string());
                    self.matrix(&name(names.expert_gate), layer, &[M::ExpertGate(expert)])?;
                    self.matrix(&name(names.expert_up), layer, &[M::ExpertUp(expert)])?;
                    self.matrix(&name(names.expert_down), layer, &[M::ExpertDown(expert)])?;
                }
                Ok(())
            }
            ExpertTensors::Stacked => {
                self.stack(names.expert_gate, layer, (0..n).map(M::ExpertGate).collect())?;
                self.stack(names.expert_up, layer, (0..n).map(M::ExpertUp).collect())?;
                self.stack(names.expert_down, layer, (0..n).map(M::ExpertDown).collect())
            }
            ExpertTensors::StackedByInputs => {
                let both = (0..n).map(|expert| [M::ExpertGate(expert), M::ExpertUp(expert)]);
                self.by_inputs(names.expert_gate, layer, both.map(|both| both.to_vec()).collect())?;
                let down = (0..n).map(|expert| vec![M::ExpertDown(expert)]);
                self.by_inputs(names.expert_down, layer, down.collect())
            }
        }
    }

    /// Rows and columns of a matrix: `[N, K]`.
    fn shape(&self, matrix: Matrix) -> [usize; 2] {
        let config = self.config;
        let [width, inner] = [config.width, config.feed_forward];
        let [queries, keys] = [config.n_heads, config.n_kv_heads].map(|heads| heads * config.head_size);
        match matrix {
            Matrix::Queries => [queries, width],
            Matrix::Keys | Matrix::Values => [keys, width],
            Matrix::Output => [width, queries],
            Matrix::Router => [config.experts.map_or(0, |sizes| sizes.n_experts), width],
            Matrix::Gate | Matrix::Up | Matrix::ExpertGate(_) | Matrix::ExpertUp(_) => [inner, width],
            Matrix::Down | Matrix::ExpertDown(_) => [width, inner],
        }
    }

    /// Where a matrix stands in the old file, its rows in the new file's order.
    pub fn spot(&self, matrix: Matrix, layer: usize) -> Result<Spot, Error> {
        let mut spot = self.old_spot(matrix, layer)?;
        let is_turned = matches!(matrix, Matrix::Queries | Matrix::Keys);
        if is_turned
            && self.config.blocks.positions == PositionsKind::Rotary
            && self.from.rope_layout != self.to.rope_layout
        {
            let rows = 0..spot.rows.len();
            spot.rows = rows.map(|row| spot.rows[self.row_in(row)]).collect();
        }
        Ok(spot)
    }

    /// Which of the old rows comes to stand at `row`.
    fn row_in(&self, row: usize) -> usize {
        let size = self.config.head_size;
        let turned = self.config.rope.as_ref().map_or(0, |rope| rope.dims);
        let (head, place, half) = (row / size * size, row % size, turned / 2);
        let place = match self.to.rope_layout {
            _ if place >= turned => place,
            Layout::Interleaved => place / 2 + place % 2 * half,
            Layout::Halves => place % half * 2 + place / half,
        };
        head + place
    }

    fn old_spot(&self, matrix: Matrix, layer: usize) -> Result<Spot, Error> {
        use Matrix as M;
        let (names, shape) = (self.from.names, self.shape(matrix));
        let [queries, keys, _] = [M::Queries, M::Keys, M::Values].map(|matrix| self.shape(matrix)[0]);
        let is_fused = !names.queries_keys_values.is_empty();
        let is_joined = !names.gate_up.is_empty();
        let inner = self.config.feed_forward;
        let alone = |name: &str| (name.to_owned(), shape[0], (0..shape[0]).collect::<Vec<usize>>());
        let part = |name: &str, n_rows, rows: Vec<usize>| (name.to_owned(), n_rows, rows);
        let (name, n_rows, rows) = match matrix {
            M::Queries | M::Keys | M::Values if is_fused => {
                let kind = [M::Queries, M::Keys, M::Values].iter().position(|kind| *kind == matrix);
                let kind = kind.unwrap_or(0);
                let starts = [0, queries, queries + keys];
                let rows = match self.from.fused_heads {
                    FusedHeads::ByKind => (starts[kind]..starts[kind] + shape[0]).collect(),
                    FusedHeads::ByHead => self.rows_by_head(kind),
                };
                part(names.queries_keys_values, queries + 2 * keys, rows)
            }
            M::Gate if is_joined => part(names.gate_up, 2 * inner, (0..inner).collect()),
            M::Up if is_joined => part(names.gate_up, 2 * inner, (inner..2 * inner).collect()),
            M::Queries => alone(names.queries),
            M::Keys => alone(names.keys),
            M::Values => alone(names.values),
            M::Output => alone(names.attention_output),
            M::Gate => alone(names.gate),
            M::Up => alone(names.up),
            M::Down => alone(names.down),
            M::Router => alone(names.router),
            M::ExpertGate(expert) => return self.expert_spot(names.expert_gate, layer, (matrix, expert)),
            M::ExpertUp(expert) => return self.expert_spot(names.expert_up, layer, (matrix, expert)),
            M::ExpertDown(expert) => return self.expert_spot(names.expert_down, layer, (matrix, expert)),
        };
        let view = match self.from.matrices {
            Matrices::OutputsByInputs => View::Rows([n_rows, shape[1]]),
            Matrices::InputsByOutputs => View::Turned([n_rows, shape[1]]),
        };
        let tensor = self.old_name(&of_layer(&name, layer))?;
        Ok(Spot { tensor, view, rows, n_rows, n_columns: shape[1] })
    }

    /// The rows of one kind where a tensor has queries, keys and values head by head.
    fn rows_by_head(&self, kind: usize) -> Vec<usize> {
        let size = self.config.head_size;
        let head = |head: usize| (3 * head + kind) * size..(3 * head + kind + 1) * size;
        (0..self.config.n_heads).flat_map(head).collect()
    }

    fn expert_spot(
        &self,
        name: &str,
        layer: usize,
        (matrix, expert): (Matrix, usize),
    ) -> Result<Spot, Error> {
        let [n, k] = self.shape(matrix);
        let experts = self.config.experts.map_or(0, |sizes| sizes.n_experts);
        match self.from.experts {
            ExpertTensors::Alone => {
                let name = of_layer(&name.replace("{e}", &expert.to_string()), layer);
                let (view, rows) = (View::Rows([n, k]), (0..n).collect());
                Ok(Spot { tensor: self.old_name(&name)?, view, rows, n_rows: n, n_columns: k })
            }
            ExpertTensors::Stacked => {
                let (view, rows) = (View::Rows([experts * n, k]), (expert * n..(expert + 1) * n).collect());
                let tensor = self.old_name(&of_layer(name, layer))?;
                Ok(Spot { tensor, view, rows, n_rows: experts * n, n_columns: k })
            }
            ExpertTensors::StackedByInputs => {
                // Gate and way up take turns in one tensor, under the name of the gate.
                let (name, each, first) = match matrix {
                    Matrix::ExpertGate(_) => (name, 2, 0),
                    Matrix::ExpertUp(_) => (self.from.names.expert_gate, 2, 1),
                    _ => (name, 1, 0),
                };
                let tensor = self.old_name(&of_layer(name, layer))?;
                let per_expert = each * n;
                // Blocks run along inputs, so they stand with a row for each output.
                let is_in_blocks = self.tensors.find(&tensor)?.is_none();
                let view = match is_in_blocks {
                    true => View::Rows([experts * per_expert, k]),
                    false => View::ByInputs([experts, per_expert, k]),
                };
                let rows = (0..n).map(|row| expert * per_expert + each * row + first).collect();
                Ok(Spot { tensor, view, rows, n_rows: experts * per_expert, n_columns: k })
            }
        }
    }

    /// A tensor of some matrices, one below the other, and its bias where one of them has one.
    fn matrix(&mut self, name: &str, layer: usize, parts: &[Matrix]) -> Result<(), Error> {
        let spots = parts.iter().map(|part| self.spot(*part, layer)).collect::<Result<Vec<_>, Error>>()?;
        let columns = self.shape(parts[0])[1];
        self.add_spots(&of_layer(name, layer), columns, spots)
    }

    /// Head by head its query, its key, its value.
    fn by_head(&mut self, name: &str, layer: usize) -> Result<(), Error> {
        let kinds = [Matrix::Queries, Matrix::Keys, Matrix::Values];
        let whole = kinds.iter().map(|kind| self.spot(*kind, layer)).collect::<Result<Vec<_>, Error>>()?;
        let size = self.config.head_size;
        let mut spots = Vec::new();
        for head in 0..self.config.n_heads {
            spots.extend(whole.iter().map(|spot| Spot {
                tensor: spot.tensor.clone(),
                view: spot.view,
                rows: spot.rows[head * size..(head + 1) * size].to_vec(),
                n_rows: spot.n_rows,
                n_columns: spot.n_columns,
            }));
        }
        self.add_spots(&of_layer(name, layer), self.config.width, spots)
    }

    fn add_spots(&mut self, name: &str, columns: usize, spots: Vec<Spot>) -> Result<(), Error> {
        let n_rows: usize = spots.iter().map(|spot| spot.rows.len()).sum();
        let biases = self.biases(&spots)?;
        let (shape, finish) = match self.to.matrices {
            Matrices::OutputsByInputs => (vec![n_rows, columns], Finish::None),
            Matrices::InputsByOutputs => (vec![columns, n_rows], Finish::Turned),
        };
        self.push(name, shape, (strips(spots), finish))?;
        match biases {
            Some(biases) => self.push(&bias_of(name), vec![n_rows], (biases, Finish::None)),
            None => Ok(()),
        }
    }

    /// Experts of one kind in one tensor, `[E, N, K]`.
    fn stack(&mut self, name: &str, layer: usize, experts: Vec<Matrix>) -> Result<(), Error> {
        let [n, k] = self.shape(experts[0]);
        let spots = experts.iter().map(|expert| self.spot(*expert, layer)).collect::<Result<Vec<_>, _>>()?;
        let biases = self.biases(&spots)?;
        let name = of_layer(name, layer);
        self.push(&name, vec![experts.len(), n, k], (strips(spots), Finish::None))?;
        match biases {
            Some(biases) => self.push(&bias_of(&name), vec![experts.len(), n], (biases, Finish::None)),
            None => Ok(()),
        }
    }

    /// Experts in one tensor, `[E, K, N]`, the rows of each expert's matrices by turns.
    fn by_inputs(&mut self, name: &str, layer: usize, experts: Vec<Vec<Matrix>>) -> Result<(), Error> {
        let [n, k] = self.shape(experts[0][0]);
        let each = experts[0].len();
        let mut spots = Vec::new();
        for matrices in &experts {
            let whole =
                matrices.iter().map(|matrix| self.spot(*matrix, layer)).collect::<Result<Vec<_>, _>>()?;
            for row in 0..n {
                spots.extend(whole.iter().map(|spot| Spot {
                    tensor: spot.tensor.clone(),
                    view: spot.view,
                    rows: vec![spot.rows[row]],
                    n_rows: spot.n_rows,
                    n_columns: spot.n_columns,
                }));
            }
        }
        let biases = self.biases(&spots)?;
        let name = of_layer(name, layer);
        let finish = Finish::ByInputs(experts.len());
        self.push(&name, vec![experts.len(), k, each * n], (strips(spots), finish))?;
        match biases {
            Some(biases) => self.push(&bias_of(&name), vec![experts.len(), each * n], (biases, Finish::None)),
            None => Ok(()),
        }
    }

    /// The biases of these rows, zeros for those without; nothing where no row has one and nobody asks for them.
    fn biases(&self, spots: &[Spot]) -> Result<Option<Vec<Strip>>, Error> {
        let mut known: std::collections::BTreeMap<&str, Option<String>> = std::collections::BTreeMap::new();
        for spot in spots {
            if !known.contains_key(&*spot.tensor) {
                let name = bias_of(&spot.tensor);
                let found = self.has(&name)?.then(|| self.old_name(&name)).transpose()?;
                known.insert(&spot.tensor, found);
            }
        }
        if known.values().all(Option::is_none) && self.to.blocks.biases != Biases::All {
            return Ok(None);
        }
        let strip = |spot: &Spot| match known.get(&*spot.tensor) {
            Some(Some(tensor)) => {
                let (view, rows) = (View::Rows([spot.n_rows, 1]), spot.rows.clone());
                Strip::Rows { tensor: tensor.clone(), view, rows }
            }
            _ => Strip::Zeros([spot.rows.len(), 1]),
        };
        Ok(Some(spots.iter().map(strip).collect()))
    }

    /// A table of rows, which lies the same way in every file.
    fn table(&mut self, name: fn(&Names) -> &'static str, shape: [usize; 2]) -> Result<(), Error> {
        let strip = Strip::whole(self.old_name(name(self.from.names))?, View::Rows(shape));
        self.push(name(self.to.names), shape.to_vec(), (vec![strip], Finish::None))
    }

    /// Learned positions, of which files may have some rows before the first.
    fn positions(&mut self) -> Result<(), Error> {
        let [n, width] = [self.config.context, self.config.width];
        let (old, new) = (self.from.first_position, self.to.first_position);
        let tensor = self.old_name(self.from.names.positions)?;
        let view = View::Rows([old + n, width]);
        let mut strips = vec![Strip::Rows { tensor, view, rows: (old..old + n).collect() }];
        if new > 0 {
            strips.insert(0, Strip::Zeros([new, width]));
        }
        self.push(self.to.names.positions, vec![new + n, width], (strips, Finish::None))
    }

    /// What tells one text from another, a table in every file; zeros where a model knows no kinds.
    fn token_types(&mut self) -> Result<(), Error> {
        let (old, new, width) = (self.from.names.token_types, self.to.names.token_types, self.config.width);
        if new.is_empty() {
            return Ok(());
        }
        let (n_kinds, strip) = if !old.is_empty() && self.has(old)? {
            let old = self.old_name(old)?;
            let n_values: usize = self.tensors.find(&old)?.map_or(0, |found| found.shape.iter().product());
            let n_kinds = (n_values / width).max(1);
            (n_kinds, Strip::whole(old, View::Rows([n_kinds, width])))
        } else {
            (1, Strip::Zeros([1, width]))
        };
        self.push(new, vec![n_kinds, width], (vec![strip], Finish::None))
    }

    /// A norm, where both dialects have it and the file too.
    fn norm(&mut self, name: fn(&Names) -> &'static str, layer: usize, width: usize) -> Result<(), Error> {
        let (old, new) = (of_layer(name(self.from.names), layer), of_layer(name(self.to.names), layer));
        if old.is_empty() || new.is_empty() || !self.has(&old)? {
            return Ok(());
        }
        let more = self.from.norm_offset - self.to.norm_offset;
        let view = if more == 0.0 { View::Rows([width, 1]) } else { View::Plus([width, 1], more) };
        let strip = Strip::whole(self.old_name(&old)?, view);
        self.push(&new, vec![width], (vec![strip], Finish::None))?;
        let bias = bias_of(&old);
        if self.has(&bias)? {
            let strip = Strip::whole(self.old_name(&bias)?, View::Rows([width, 1]));
            self.push(&bias_of(&new), vec![width], (vec![strip], Finish::None))?;
        }
        Ok(())
    }

    /// A tensor that moves as it is, where both dialects have it and the file too.
    fn optional(&mut self, name: fn(&Names) -> &'static str, layer: usize) -> Result<(), Error> {
        let (old, new) = (of_layer(name(self.from.names), layer), of_layer(name(self.to.names), layer));
        if old.is_empty() || new.is_empty() || !self.has(&old)? {
            return Ok(());
        }
        let old = self.old_name(&old)?;
        let shape = self.tensors.find(&old)?.map_or_else(Vec::new, |found| found.shape);
        let (columns, n_rows) = match shape.split_last() {
            Some((columns, rows)) if !rows.is_empty() => (*columns, rows.iter().product()),
            _ => (1, shape.iter().product()),
        };
        let strip = Strip::whole(old, View::Rows([n_rows, columns]));
        self.push(&new, shape, (vec![strip], Finish::None))
    }

    /// What frequencies are divided by, where the new file says it in tensors.
    fn divisors(&mut self) -> Result<(), Error> {
        let Some(rope) = &self.config.rope else { return Ok(()) };
        let names = self.to.names;
        let numbers = |values: &[f64]| values.iter().map(|value| *value as f32).collect::<Vec<f32>>();
        let mut list: Vec<(&str, Vec<f32>)> = Vec::new();
        match &rope.scaling {
            Scaling::Llama3 { .. } => {
                let plain = rope.plain_frequencies();
                let slow = self.config.frequencies.iter();
                let divisors = plain.iter().zip(slow).map(|(plain, slow)| plain / slow);
                list.push((names.rope_divisors, divisors.collect()));
            }
            Scaling::LongRope { short, long, .. } if !names.rope_divisors_long.is_empty() => {
                list.push((names.rope_divisors_long, numbers(long)));
                list.push((names.rope_divisors_short, numbers(short)));
            }
            Scaling::LongRope { short, long, original } => {
                let is_long = self.config.context as f64 > *original;
                list.push((names.rope_divisors, numbers(if is_long { long } else { short })));
            }
            _ => {}
        }
        for (name, values) in list {
            if !name.is_empty() && !values.is_empty() {
                let shape = vec![values.len()];
                self.push(name, shape, (vec![Strip::Numbers(values)], Finish::None))?;
            }
        }
        Ok(())
    }

    fn push(&mut self, name: &str, shape: Vec<usize>, made: (Vec<Strip>, Finish)) -> Result<(), Error> {
        self.list.push(translated(self.tensors, name.to_owned(), shape, made)?);
        Ok(())
    }

    fn has(&self, name: &str) -> Result<bool, Error> {
        Ok(!name.is_empty() && self.find_name(name)?.is_some())
    }

    /// How the old file calls the tensor that its dialect calls `name`: with the prefix that some leave out, or without.
    fn find_name(&self, name: &str) -> Result<Option<String>, Error> {
        let short = name.strip_prefix(self.from.optional_prefix);
        for name in [Some(name), short].into_iter().flatten() {
            if self.tensors.find(name)?.is_some() || has_blocks(self.tensors, name)? {
                return Ok(Some(name.to_owned()));
            }
        }
        Ok(None)
    }

    fn old_name(&self, name: &str) -> Result<String, Error> {
        let missing = || Error::MissingTensor { file: self.tensors.label().into(), name: name.into() };
        self.find_name(name)?.ok_or_else(missing)
    }
}

fn strips(spots: Vec<Spot>) -> Vec<Strip> {
    let strip = |Spot { tensor, view, rows, .. }: Spot| Strip::Rows { tensor, view, rows };
    spots.into_iter().map(strip).collect()
}
