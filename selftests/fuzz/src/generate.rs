// SPDX-License-Identifier: GPL-2.0

//! New programs, from scratch or from other programs.
//!
//! All choices depend on the random number generator and on the given programs alone, so the same
//! seed makes the same programs.

use std::fmt::Write;

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::call::SIGNATURES;
use crate::program::{Actor, CALLS, Program, Step, User};

/// A new program with at most this many tracks.
pub fn program(rng: &mut impl Rng, corpus: &[Program], tracks: usize) -> Program {
    let mut program = match (rng.random_range(0..100), corpus.choose(rng)) {
        (45.., Some(old)) => {
            let mut program = old.clone();
            let other = corpus.choose(rng).unwrap_or(old);
            for _ in 0..rng.random_range(1..6) {
                mutate(rng, &mut program, other);
            }
            program
        }
        _ => fresh(rng, tracks),
    };
    if rng.random_ratio(1, 4) {
        // Runs the same calls several times in parallel.
        let mut track = program
            .tracks
            .choose(rng)
            .expect("a program has a track")
            .clone();
        track.actor = actor(rng);
        program.tracks.push(track);
    }
    program.tracks.truncate(tracks);
    for track in &mut program.tracks {
        track.steps.truncate(CALLS);
    }
    program
}

fn actor(rng: &mut impl Rng) -> Actor {
    match rng.random_range(0..8) {
        0..3 => Actor::Thread,
        3..5 => Actor::Process(User::A),
        5..7 => Actor::Process(User::B),
        _ => Actor::Process(User::Root),
    }
}

/// Starts with members of a region, in one of the ways to create and join it, and adds random
/// calls.
fn fresh(rng: &mut impl Rng, tracks: usize) -> Program {
    let count = rng.random_range(1..=tracks);
    let entries = [2, 4, 8].choose(rng).copied().unwrap_or(4);
    let mut text = format!(
        "process a\nopen\ncreate slots=3 entries={entries} name=1\nmap map=0 area=member id=0\nmap map=1 area=inbox\nsync\n"
    );
    let mut file = 0;
    let mut bodies = vec![(0, 0)];
    for id in 1..count {
        let actor = actor(rng);
        let source = if actor == Actor::Thread {
            file += 1;
            format!("from={}", file - 1)
        } else {
            file = 0;
            "name=1".to_owned()
        };
        let _ = write!(
            text,
            "{actor}\nsync\nopen fd={file}\nattach fd={file} {source} id={id}\nmap map={} fd={file} area=member id={id}\n",
            2 * file
        );
        let _ = writeln!(text, "map map={} fd={file} area=inbox", 2 * file + 1);
        bodies.push((id, file));
    }
    let mut program = Program::parse(&text).expect("the beginning of a program can be read");
    for (track, (id, file)) in program.tracks.iter_mut().zip(bodies) {
        if rng.random_ratio(1, 2) {
            let to = rng.random_range(0..count);
            let lane = format!(
                "process a\nsync\nopen-lane fd={file} to={to}\nmap map=2 fd={file} area=laneto id={to}\n\
                 sync\nmap map=3 fd={file} area=lanefrom id={}\n",
                (id + count - 1) % count
            );
            let lane = Program::parse(&lane).expect("a lane can be read");
            track.steps.extend(&lane.tracks[0].steps);
        }
        for _ in 0..rng.random_range(3..24) {
            let mut step = random_step(rng);
            if step
                .call
                .signature()
                .arguments
                .first()
                .is_some_and(|(name, _)| *name == "fd")
                && rng.random_ratio(3, 4)
            {
                step.arguments[0] = file;
            }
            track.steps.push(step);
        }
    }
    program
}

fn random_step(rng: &mut impl Rng) -> Step {
    let signature = SIGNATURES
        .choose_weighted(rng, |signature| signature.weight)
        .expect("calls have weights");
    let mut step = Step::new(signature.call);
    // In most cases only one or two arguments are unusual. With more, the first check would refuse
    // all calls.
    for (argument, (_, domain)) in step.arguments.iter_mut().zip(signature.arguments) {
        if rng.random_ratio(1, 2) {
            *argument = domain.choose(rng);
        }
    }
    step
}

fn mutate(rng: &mut impl Rng, program: &mut Program, other: &Program) {
    let index = rng.random_range(0..program.tracks.len());
    let steps = &mut program.tracks[index].steps;
    let at = rng.random_range(0..=steps.len());
    match rng.random_range(0..16) {
        0..4 => steps.insert(at, random_step(rng)),
        4..7 => {
            if let Some(step) = steps.get_mut(at) {
                let arguments = step.call.signature().arguments;
                if !arguments.is_empty() {
                    let argument = rng.random_range(0..arguments.len());
                    step.arguments[argument] = arguments[argument].1.choose(rng);
                }
            }
        }
        7..9 if at < steps.len() => {
            steps.remove(at);
        }
        9..11 if at < steps.len() => {
            let step = steps[at];
            let to = rng.random_range(0..=steps.len());
            steps.insert(to, step);
        }
        11 if at < steps.len() => {
            let to = rng.random_range(0..steps.len());
            steps.swap(at, to);
        }
        12..14 => {
            // The end of another program's track.
            if let Some(track) = other.tracks.choose(rng) {
                let from = rng.random_range(0..=track.steps.len());
                steps.truncate(at);
                steps.extend(&track.steps[from..]);
            }
        }
        14 => {
            if let Some(track) = other.tracks.choose(rng) {
                program.tracks.push(track.clone());
            }
        }
        _ if index > 0 => {
            if rng.random_ratio(1, 2) {
                program.tracks[index].actor = actor(rng);
            } else {
                program.tracks[1..].shuffle(rng);
            }
        }
        _ => steps.push(random_step(rng)),
    }
}

/// Programs that are smaller by one part, the largest parts first.
pub fn smaller(program: &Program) -> Vec<Program> {
    let mut all = Vec::new();
    for index in (1..program.tracks.len()).rev() {
        let mut smaller = program.clone();
        smaller.tracks.remove(index);
        all.push(smaller);
    }
    for (index, track) in program.tracks.iter().enumerate() {
        for step in (0..track.steps.len()).rev() {
            let mut smaller = program.clone();
            smaller.tracks[index].steps.remove(step);
            all.push(smaller);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Call;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_seed_makes_the_same_programs() {
        let all = |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut corpus = vec![fresh(&mut rng, 4)];
            for _ in 0..500 {
                let program = program(&mut rng, &corpus, 4);
                let text = program.to_string();
                assert_eq!(Program::parse(&text).expect(&text), program);
                corpus.push(program);
            }
            corpus
        };
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
    }

    #[test]
    fn every_call_is_drawn() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let drawn: Vec<Call> = (0..5000).map(|_| random_step(&mut rng).call).collect();
        for signature in SIGNATURES {
            assert!(drawn.contains(&signature.call), "{}", signature.name);
        }
    }
}
